"""One mode under one load: requests come by the clock, whatever has become of those before."""

import asyncio
import statistics
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from benchmarks.step_batching.arrivals import WORK, Arrival, requests
from benchmarks.step_batching.engine_room import Room, Running, running
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference import metrics
from mezzotint.inference.pictures.events import Drawn, Progress
from mezzotint.inference.pictures.painter import Painter

# Pictures under way while the capacity is measured, for each row of a call.
CROWD = 3


@dataclass
class Told:
    """Seconds on the monotonic clock: asked for, first step made, picture there; 0 while it has not happened."""

    asked: float
    first_step: float = 0.0
    drawn: float = 0.0
    finished: bool = False


@dataclass
class Outcome:
    """What became of the requests of some runs: `seconds` from the first request to the end, rows made, possible, withheld."""

    told: list[Told] = field(default_factory=list)
    seconds: float = 0.0
    rows: float = 0.0
    possible: float = 0.0
    withheld: float = 0.0

    def add(self, told: list[Told], began: float, ended: float, counts: list[float]) -> None:
        """One run more. What has not happened by its end counts as if it happened then, and the picture as unfinished."""
        self.seconds += ended - began
        rows, possible, withheld = counts
        self.rows, self.possible, self.withheld = self.rows + rows, self.possible + possible, self.withheld + withheld
        for each in told:
            each.finished = bool(each.drawn)
            each.first_step, each.drawn = each.first_step or ended, each.drawn or ended
        self.told += told

    def figures(self) -> dict[str, float]:
        """Images a second, and seconds to the picture and to the first step."""
        total = sorted(each.drawn - each.asked for each in self.told)
        first = sorted(each.first_step - each.asked for each in self.told)
        unfinished = sum(1 for each in self.told if not each.finished)
        return {
            "images_per_s": (len(self.told) - unfinished) / self.seconds,
            "p50_s": statistics.median(total),
            "p99_s": percentile(total, 0.99),
            "first_step_p50_s": statistics.median(first),
            "first_step_p99_s": percentile(first, 0.99),
            "rows_per_s": self.rows / self.seconds,
            "occupancy": self.rows / self.possible,
            "rows_withheld": self.withheld / self.possible,
            "requests": len(self.told),
            "unfinished": unfinished,
        }


async def measure(room: Room, mode: str, arrivals: list[Arrival], patience: float, outcome: Outcome) -> None:
    """Let requests come, and wait up to `patience` seconds after the last for all to be drawn."""
    told, before = list[Told](), counted()
    async with running(room, mode) as made:
        began = time.perf_counter()
        tasks = []
        for arrival in arrivals:
            await asyncio.sleep(began + arrival.at - time.perf_counter())
            told.append(Told(time.perf_counter()))
            tasks.append(asyncio.create_task(follow(made.painter, arrival.spec, told[-1])))
        _, left = await asyncio.wait(tasks, timeout=patience)
        ended = time.perf_counter()
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    outcome.add(told, told[0].asked, ended, [now - then for now, then in zip(counted(), before, strict=True)])


async def follow(painter: Painter, spec: GenerationSpec, told: Told) -> None:
    """Ask for a picture and note what happens when."""
    with closing(painter.paint(spec)) as painting:
        async for event in painting:
            if isinstance(event, Progress) and not told.first_step:
                told.first_step = time.perf_counter()
            elif isinstance(event, Drawn):
                told.drawn = time.perf_counter()


async def capacity(room: Room, seconds: float) -> float:
    """Images a second of the mix that the engine draws at most, from the rows that it makes while there is always a line."""
    async with running(room, "step") as made:
        source = requests(seed=0)
        crowd = [asyncio.create_task(keep_asking(made, list(islice(source, 1000)))) for _ in range(CROWD * room.rows)]
        await asyncio.sleep(min(1.0, seconds / 4))
        began, before = time.perf_counter(), counted()[0]
        await asyncio.sleep(seconds)
        rate = (counted()[0] - before) / (time.perf_counter() - began)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
    return rate / WORK


async def keep_asking(made: Running, specs: list[GenerationSpec]) -> None:
    """One picture after another."""
    for spec in specs:
        await follow(made.painter, spec, Told(0))


def percentile(ordered: list[float], part: float) -> float:
    """The smallest that at least this part of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def counted() -> tuple[float, float, float]:
    """Rows of all calls so far, rows they had room for, and rows withheld from those who waited."""
    rows, possible, withheld = (
        sum(sample.value for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total"))
        for counter in (metrics.ROWS, metrics.ROWS_CAP, metrics.ROWS_WITHHELD)
    )
    return rows, possible, withheld
