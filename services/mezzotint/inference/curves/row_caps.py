"""How many rows a call may have, by model and shape: the setting, or the knee of what is measured when the model is opened."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from threading import Lock
from typing import Protocol
from weakref import WeakKeyDictionary

from mezzotint.inference import metrics
from mezzotint.inference.batching.lane import Picture, shape_of
from mezzotint.inference.curves import curve
from mezzotint.inference.curves.conditions import device_of, model_of
from mezzotint.inference.curves.curve import Measured
from mezzotint.inference.curves.file import CurveFile
from mezzotint.inference.curves.knee import ROWS_MIN, batches, knee_of
from mezzotint.inference.models.engine import Engine
from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal, ModelInvalid

log = logging.get(__name__)
# Once measuring a model's sizes took so long, the others are taken to be like those.
SECONDS_MAX = 20.0
# A curve that spread by more was measured while the machine did other things: it is used, and measured again at the next start,
# up to so many times in all.
SPREAD_MAX, STARTS_MAX = 0.2, 4


class Opened(Engine, Protocol):
    """An engine that can tell what it runs on."""

    @property
    def device(self) -> str:
        """What the denoiser runs on."""
        ...

    def rows_possible(self, latent: tuple[int, ...]) -> int | None:
        """The rows of one call that the device takes for latents (C, H, W), where it refused more; else None."""
        ...


class RowCaps:
    """Rows of one call, at most `rows_max`. With `fixed` rows nothing is measured. `threads` are those inside one call.

    Calls that are measured are made in `thread`, in turn with those that draw; without one, where they are asked for. With
    `again` nothing that was kept is believed.
    """

    def __init__(
        self,
        file: CurveFile,
        rows_max: int,
        threads: int,
        fixed: int | None = None,
        thread: Executor | None = None,
        *,
        again: bool = False,
    ) -> None:
        self._file = file
        self._rows_max = fixed or rows_max
        self._threads = threads
        self._fixed = fixed
        self._thread = thread
        self._again = again
        # Written by the threads that open models, read by the event loop.
        self._caps: WeakKeyDictionary[Engine, dict[str, int]] = WeakKeyDictionary()
        self._lock = Lock()

    def learning(self, open_model: Callable[[Path], Opened]) -> Callable[[Path], Engine]:
        """Opens models, and knows the caps of each before it is used. Blocks."""

        def opened(folder: Path) -> Engine:
            engine = open_model(folder)
            try:
                caps = self._set(engine) if self._fixed else self._learn(engine, folder)
            except Internal as error:
                raise ModelInvalid(f"it does not draw a size that it says it draws: {error}") from error
            with self._lock:
                self._caps[engine] = caps
            return engine

        return opened

    def of(self, engine: Engine, shape: str) -> int:
        """Rows of one call of a model for latents of a shape, "4x32x32"; of one not measured, as for the next larger one."""
        with self._lock:
            caps = self._caps.get(engine, {})
        larger = [each for each in caps if volume(each) >= volume(shape)]
        nearest = min(larger, key=volume) if larger else max(caps, key=volume, default="")
        return caps.get(nearest, self._rows_max)

    def least(self) -> int:
        """Rows that a call of any of the models in use has room for."""
        with self._lock:
            caps = list(self._caps.values())
        return min((max(each.values()) for each in caps if each), default=self._rows_max)

    def _set(self, engine: Opened) -> dict[str, int]:
        """The setting, or as many as the device took at the warm-up."""
        possible = engine.rows_possible(engine.card.latent)
        return (
            {} if possible is None else {"x".join(map(str, engine.card.latent)): max(ROWS_MIN, min(possible, self._rows_max))}
        )

    def _learn(self, engine: Opened, folder: Path) -> dict[str, int]:
        """The caps of a model by shape."""
        caps: dict[str, int] = {}
        end = time.perf_counter() + SECONDS_MAX
        for size in engine.card.sizes:
            if not caps or time.perf_counter() < end:
                picture = curve.sample(engine, size)
                caps[shape_of(picture)] = self._cap(engine, folder, picture)
        return caps

    def _cap(self, engine: Opened, folder: Path, picture: Picture) -> int:
        """The cap of one shape, measured unless it was before under the same conditions, and without much spread."""
        shape = shape_of(picture)
        key = (model_of(engine, folder), shape, device_of(engine.device, self._threads), self._rows_max)
        known = None if self._again else self._file.find(*key)
        surely = known is not None and (known.spread <= SPREAD_MAX or known.starts >= STARTS_MAX)
        measured = known if known and surely else self._measure(engine, picture, known)
        # Beyond that a call is made in pieces, whose time says nothing.
        possible = engine.rows_possible(picture.noise.shape) or self._rows_max
        step_ms = {rows: ms for rows, ms in measured.step_ms.items() if rows <= possible}
        # One that was cut short, by the clock or by what else the device held then, says nothing of the next start.
        if not surely and len(step_ms) == len(batches(self._rows_max)):
            self._file.keep(*key, measured)
        cap = min(self._rows_max, knee_of(step_ms))
        for rows, ms in step_ms.items():
            metrics.WARM_STEP_SECONDS.labels(engine.card.key, shape, str(rows)).set(ms / 1e3)
        told = {str(rows): round(ms, 1) for rows, ms in step_ms.items()}
        log.info(
            "rows of one call",
            model=engine.card.key,
            shape=shape,
            rows=cap,
            step_ms=told,
            measured=not surely,
            spread=round(measured.spread, 2),
        )
        return cap

    def _measure(self, engine: Opened, picture: Picture, known: Measured | None) -> Measured:
        """t(batch) now, and the least of it and of what is known from other starts."""
        measured = curve.measure(engine, picture, batches(self._rows_max), thread=self._thread)
        return measured if known is None else measured.with_earlier(known)


def volume(shape: str) -> int:
    """Numbers in latents of a shape."""
    return math.prod(map(int, shape.split("x")))
