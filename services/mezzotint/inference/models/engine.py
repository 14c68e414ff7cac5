"""The port to a model that can draw: text in, predictions while drawing, pixels out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mezzotint.inference.models.card import ModelCard

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """What a text means to a model: `hidden` (tokens, D) and `pooled` (D,)."""

    hidden: Floats
    pooled: Floats


class Engine(Protocol):
    """A loaded model. Calls block, and may run at the same time in different threads.

    Any of them may raise Internal when the device refuses the call (out of memory, say); the engine stays usable.
    A row's result does not depend on the other rows but for rounding.
    """

    @property
    def card(self) -> ModelCard:
        """What the model is and what it can draw."""
        ...

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """The embeddings of texts; "" is the unconditional prompt. Longer texts are cut at the card's `max_tokens`."""
        ...

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        """What the card's `prediction` says, for rows (B, C, H, W): velocity, noise or data.

        Samples are (B, C, H, W), timesteps (B,) in [0, 1000], hidden (B, tokens, D) and pooled (B, D).
        """
        ...

    def padding(self, rows: int, latent: tuple[int, ...]) -> int:
        """Rows that `denoise` draws beside so many rows of latents (C, H, W) and throws away, since the device wants it so."""
        ...

    def decode(self, latents: Floats) -> Floats:
        """Pixels (B, 4, height, width) of finished latents (B, C, H, W): straight RGBA in [-1, 1], not clipped."""
        ...

    def encode(self, pixels: Floats) -> Floats:
        """Latents (B, C, H, W) of straight RGBA pixels (B, 4, height, width) in [-1, 1], as `decode` would take them.

        Only when the card's `encodes` or its pixels have opacity; without it a picture is taken as on white.
        """
        ...

    def sketch(self, latents: Floats) -> Floats:
        """What latents (B, C, H, W) look like, a pixel a cell and at no cost: (B, 4, H, W).

        Opacity times colour, and opacity, both in [-1, 1].
        """
        ...
