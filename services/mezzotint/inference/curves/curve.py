"""Measuring t(batch): how long a call of a model's denoiser takes with 1, 2, 4, … rows."""

import math
import time
from collections.abc import Sequence

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.batching.lane import Lane, Picture
from mezzotint.inference.curves.knee import ROWS_MIN
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.pictures import stages
from mezzotint.inference.pictures.request import resolve
from mezzotint.inference.sampling.guidance import WITHOUT
from mezzotint.runtime.errors import Internal

# The least time counts: whatever else the machine does makes calls longer, never shorter. All sizes are measured in turn until
# so many rounds have brought no time that is shorter by more than this part.
SETTLED_ROUNDS, SETTLED_PART = 2, 0.03
# No more is measured after this.
SECONDS_MAX = 10.0


def sample(engine: Engine, size: str) -> Picture:
    """A picture of one of the card's sizes, of one row."""
    width, height = map(int, size.split("x"))
    spec = GenerationSpec(prompt="a warm-up", width=width, height=height, steps=1, guidance=WITHOUT, seed=0)
    return stages.prepare(resolve(spec, engine.card), engine, EmbeddingCache(1))[0]


def measure(engine: Engine, picture: Picture, sizes: Sequence[int], seconds_max: float = SECONDS_MAX) -> dict[int, float]:
    """Milliseconds of a call by its rows: those of `sizes`, up to where the device refuses or `seconds_max` are over.

    Blocks. Raises Internal when the device refuses even a single row.
    """
    lane, least = Lane(engine, max(sizes)), dict[int, float]()
    end, settled = time.perf_counter() + seconds_max, 0
    while settled < SETTLED_ROUNDS and not (least and time.perf_counter() > end):
        settled += 1
        for rows in sizes:
            if rows > ROWS_MIN and time.perf_counter() > end:
                break
            try:
                taken = one_call(lane, picture, rows)
            except Internal:
                if rows == 1:
                    raise
                sizes = [size for size in sizes if size < rows]
                break
            if taken < least.get(rows, math.inf) * (1 - SETTLED_PART):
                settled = 0
            least[rows] = min(taken, least.get(rows, taken))
    return {rows: ms for rows, ms in least.items() if rows in sizes}


def one_call(lane: Lane, picture: Picture, rows: int) -> float:
    """The milliseconds of one call. Raises Internal when the device refuses it."""
    for slot in range(rows):
        lane.join(slot, picture)
    return lane.step(range(rows)).ms
