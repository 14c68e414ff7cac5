"""The schedulers alone, on a clock that is only counted: many requests, with calls that take what t(batch) of this run says.

Not a measurement of the engine, but of who has to wait for whom: it says the same on a busy machine as on a quiet one, and the
measured figures can be held against it.
"""

import statistics
from collections.abc import Mapping

from benchmarks.step_batching.arrivals import WORK, Arrival, poisson
from benchmarks.step_batching.engine_room import MODEL_SIZE, WAITING_MAX, Room
from benchmarks.step_batching.load import percentile
from mezzotint.inference.batching import modes
from mezzotint.inference.batching.scheduler import Ticket
from mezzotint.inference.curves import curve
from mezzotint.inference.sampling.guidance import rows_of

REQUESTS = 600
SEED = 8


def curve_of(room: Room) -> dict[int, float]:
    """The least milliseconds of a call for every number of rows up to the cap, measured until they settle."""
    return dict(curve.measure(room.engine, curve.sample(room.engine, MODEL_SIZE), range(1, room.rows + 1)).step_ms)


def replay(mode: str, load: float, rows: int, step_ms: Mapping[int, float]) -> dict[str, str | float]:
    """What a mode makes of requests at a load, in the fields of load.Outcome."""
    capacity = rows / step_ms[rows] * 1e3 / WORK
    arrivals = poisson(load * capacity, REQUESTS / (load * capacity), SEED)
    first, end = played(mode, rows, step_ms, arrivals)
    total = sorted(at - arrivals[number].at for number, at in end.items())
    begun = sorted(at - arrivals[number].at for number, at in first.items())
    return {
        "mode": mode,
        "load": load,
        "images_per_s": len(end) / (max(end.values()) - arrivals[0].at),
        "p50_s": statistics.median(total),
        "p99_s": percentile(total, 0.99),
        "first_step_p50_s": statistics.median(begun),
        "first_step_p99_s": percentile(begun, 0.99),
        "requests": len(end),
    }


def played(
    mode: str, rows: int, step_ms: Mapping[int, float], arrivals: list[Arrival]
) -> tuple[dict[int, float], dict[int, float]]:
    """When each request, by its number, made its first step and its last, in seconds."""
    scheduler = modes.scheduler(mode, rows, WAITING_MAX)
    first, end, now, come = dict[int, float](), dict[int, float](), 0.0, 0
    while len(end) < len(arrivals):
        while come < len(arrivals) and arrivals[come].at <= now:
            spec = arrivals[come].spec
            scheduler.add([Ticket(come, "", rows_of(spec.guidance), spec.steps)])
            come += 1
        batch = scheduler.schedule()
        if batch is None:
            now = arrivals[come].at
            continue
        seconds = step_ms[sum(seat.ticket.rows for seat in batch.seats)] / 1e3
        now += seconds
        first |= {seat.ticket.number: now for seat in batch.seats if not seat.done}
        end |= {ticket.number: now for ticket in scheduler.update(seconds=seconds)}
    return first, end
