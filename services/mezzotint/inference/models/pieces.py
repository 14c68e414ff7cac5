"""Calls of a denoiser in pieces that the device takes: one that it refuses, for want of memory, is made again in halves.

What was refused once is not tried again: calls of that latent size have no more rows in a piece from then on.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal

log = logging.get(__name__)
Floats = npt.NDArray[np.float32]


class Call(Protocol):
    """One call of a graph."""

    def __call__(self, **inputs: Floats) -> list[Floats]:
        """The outputs for inputs whose first dimension is rows. Raises Internal when the device refuses."""
        ...


class Pieces:
    """See the module; `model` is named in the log."""

    def __init__(self, call: Call, model: str) -> None:
        self._call = call
        self._model = model
        # Rows of one piece, by the shape of one row's latents, where the device refused more.
        self._rows_max: dict[tuple[int, ...], int] = {}

    def __call__(self, feed: Mapping[str, Floats], latent: tuple[int, ...]) -> Floats:
        """The first output for all rows of `feed`. Raises Internal when the device refuses even a single row."""
        rows, made = len(next(iter(feed.values()))), list[Floats]()
        done = 0
        while done < rows:
            size = min(rows - done, self.rows_max(latent) or rows)
            try:
                made.append(self._call(**{name: values[done : done + size] for name, values in feed.items()})[0])
            except Internal as error:
                if size == 1:
                    raise
                self._rows_max[latent] = (size + 1) // 2
                shape = "x".join(map(str, latent))
                log.warning("calls are made in smaller pieces", model=self._model, shape=shape, refused=size, why=str(error))
            else:
                done += size
        return made[0] if len(made) == 1 else np.concatenate(made)

    def sizes(self, rows: int, latent: tuple[int, ...]) -> list[int]:
        """The rows of the pieces of a call as it would be made now."""
        size = self.rows_max(latent) or rows
        return [min(size, rows - done) for done in range(0, rows, size)]

    def rows_max(self, latent: tuple[int, ...]) -> int | None:
        """The rows of one piece for latents of a shape (C, H, W); None where the device refused none so far."""
        return self._rows_max.get(latent)
