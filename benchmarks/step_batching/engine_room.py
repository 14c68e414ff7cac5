"""The inference service's own parts around the bundled model, without gRPC: one engine for the whole run, one loop a mode."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mezzotint.inference.batching import modes
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.batching.denoising_loop import DenoisingLoop
from mezzotint.inference.curves.file import CurveFile
from mezzotint.inference.curves.row_caps import RowCaps
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.models.repository import Repository
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.pictures.painting import Studio
from mezzotint.inference.pictures.preparing import Preparing
from mezzotint.inference.settings import cores
from mezzotint.runtime.bundled import bundled

MODEL, MODEL_SIZE = "aquatint", "256x256"
ROWS_MAX = 8
# Nobody is refused: at loads above capacity the line grows until the arrivals end.
WAITING_MAX = 100_000


@dataclass(frozen=True)
class Room:
    """The model, the rows that its calls have, and the threads inside one call."""

    engine: Engine
    rows: int
    caps: RowCaps
    threads: int


@dataclass(frozen=True)
class Running:
    """A loop that draws in one mode, and the painter that fills it."""

    loop: DenoisingLoop
    painter: Painter


def open_room(folder: Path, rows: int | None = None) -> Room:
    """Open the bundled model and find its knee; `rows` fixes the rows of a call instead."""
    threads = cores()
    caps = RowCaps(CurveFile(folder / "curves.json"), ROWS_MAX, threads, rows)
    engine = caps.learning(partial(OnnxEngine, threads=threads, rows_max=rows or ROWS_MAX))(bundled("models") / MODEL)
    return Room(engine, caps.least(), caps, threads)


@asynccontextmanager
async def running(room: Room, mode: str, rows: int | None = None) -> AsyncIterator[Running]:
    """A loop in a mode, running until the block ends; its calls have `rows` if given, else what was measured."""
    with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(1) as thread:
        rows_max = rows or max(ROWS_MAX, room.rows)
        cap = None if rows else room.caps.of
        loop = DenoisingLoop(modes.scheduler(mode, rows_max, WAITING_MAX), thread, rows_max, cap)
        studio = Studio(loop, EmbeddingCache(4096), pool, Capacity(room.rows), Preparing(loop))
        repository = Repository(bundled("models"), MODEL, lambda folder: room.engine, pool)
        await repository.load(MODEL)
        drawing = asyncio.create_task(loop.run())
        try:
            yield Running(loop, Painter(repository, studio))
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
