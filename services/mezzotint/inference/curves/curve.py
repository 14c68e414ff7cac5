"""Measuring t(batch): how long a call of a model's denoiser takes with 1, 2, 4, … rows."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.batching.lane import Lane, Picture
from mezzotint.inference.curves.knee import ROWS_MIN
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.pictures import stages
from mezzotint.inference.pictures.request import resolve
from mezzotint.inference.sampling.guidance import WITHOUT
from mezzotint.runtime.errors import Internal

# The least time counts: whatever else the machine does makes calls longer, never shorter. All sizes are measured in turn, so
# that what else goes on meets all of them, until so many rounds have brought no time that is shorter by more than this part.
SETTLED_ROUNDS, SETTLED_PART = 3, 0.03
# Rounds that make room in memory and, on CUDA, record graphs: they say nothing of the spread.
FIRST_ROUNDS = 2
# No more is measured after this.
SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Measured:
    """t(batch): the least milliseconds of a call by its rows, measured at so many `starts`.

    `spread` is how far a call usually was above the least, as a part of it, where that was the most.
    """

    step_ms: Mapping[int, float]
    spread: float
    starts: int = 1

    def with_earlier(self, other: "Measured") -> "Measured":
        """With the least of what was measured before, under the same conditions."""
        least = {rows: min(ms, other.step_ms.get(rows, ms)) for rows, ms in self.step_ms.items()}
        return Measured(least, self.spread, self.starts + other.starts)


def sample(engine: Engine, size: str) -> Picture:
    """A picture of one of the card's sizes, of one row."""
    width, height = map(int, size.split("x"))
    spec = GenerationSpec(prompt="a warm-up", width=width, height=height, steps=1, guidance=WITHOUT, seed=0)
    return stages.prepare(resolve(spec, engine.card), engine, EmbeddingCache(1))[0]


def measure(
    engine: Engine,
    picture: Picture,
    sizes: Sequence[int],
    seconds_max: float = SECONDS_MAX,
    thread: Executor | None = None,
) -> Measured:
    """t(batch) for `sizes`, up to where the device refuses or `seconds_max` are over; calls are made in `thread` if given.

    Blocks. Raises Internal when the device refuses even a single row.
    """
    lane, taken = Lane(engine, max(sizes)), dict[int, list[float]]()
    end, settled = time.perf_counter() + seconds_max, 0
    while settled < SETTLED_ROUNDS and not (taken and time.perf_counter() > end):
        settled += 1
        for rows in sizes:
            if rows > ROWS_MIN and time.perf_counter() > end:
                break
            try:
                ms = one_call(lane, picture, rows) if thread is None else thread.submit(one_call, lane, picture, rows).result()
            except Internal:
                if rows == 1:
                    raise
                sizes = [size for size in sizes if size < rows]
                break
            if ms < min(taken.get(rows, ()), default=math.inf) * (1 - SETTLED_PART):
                settled = 0
            taken.setdefault(rows, []).append(ms)
    return measured_of({rows: times for rows, times in taken.items() if rows in sizes})


def measured_of(taken: Mapping[int, Sequence[float]]) -> Measured:
    """What times of calls by their rows, in order, come to."""
    least = {rows: min(times) for rows, times in taken.items()}
    usual = {rows: statistics.median(times[FIRST_ROUNDS:] or times) for rows, times in taken.items()}
    return Measured(least, max((usual[rows] / least[rows] - 1 for rows in least), default=0.0))


def one_call(lane: Lane, picture: Picture, rows: int) -> float:
    """The milliseconds of one call. Raises Internal when the device refuses it."""
    for slot in range(rows):
        lane.join(slot, picture)
    return lane.step(range(rows)).ms
