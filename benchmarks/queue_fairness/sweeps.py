"""What the four figures do not say: the same crowds under other loads, with other loans, and asked more closely."""

from collections.abc import Iterable, Sequence
from unittest import mock

from benchmarks.queue_fairness import scenarios
from benchmarks.queue_fairness.crowd import Crowd, Started
from benchmarks.queue_fairness.scenarios import COST_MEAN_S, FREE, FREE_FLOOR, PAID, SEED, p95
from mezzotint.queue import lending
from mezzotint.queue.tiers import Policy

# Workers, the part of their capacity that paid jobs take, and the objective of the paid tier in seconds.
LOADS = ((2, 0.6, 2.0), (8, 0.7, 1.0), (8, 0.8, 1.0), (4, 0.8, 1.0), (16, 0.9, 1.0), (8, 0.9, 1.0))
# A p95 at 90 % of the load needs more than two hours: waits of so many crowds count together.
SEEDS = tuple(range(SEED, SEED + 4))
LENT_AFTER_SECONDS = (0.0, 5.0, 10.0, 1e9)
Row = Sequence[str]


def loads() -> Iterable[Row]:
    """Paid users' p95 wait in a flood of free jobs, and alone with the capacity that the free tier's floor leaves them."""
    yield "workers", "paid load", "p95 alone", "with free users", "over alone", "alone, load / 0.95", "over alone"
    for workers, load, objective in LOADS:

        def waits(free_peak: float, load: float, workers: int = workers, objective: float = objective) -> float:
            found = (scenarios.paid_waits(free_peak, workers, load, objective, seed) for seed in SEEDS)
            return p95(wait for each in found for wait in each)

        alone, flooded, rest = waits(0.0, load), waits(10.0, load), waits(0.0, load / (1 - FREE_FLOOR))
        yield (
            str(workers),
            f"{load:.0%}",
            f"{alone:.2f} s",
            f"{flooded:.2f} s",
            f"{flooded / alone:.2f}",
            f"{rest:.2f} s",
            f"{rest / alone:.2f}",
        )


def loans() -> Iterable[Row]:
    """The base figure when what is idle is lent sooner, later, or never, and how busy the workers are then."""
    yield "lent after", "paid p95 over alone", "workers busy"
    alone = p95(scenarios.paid_waits(0.0, 2, 0.6, scenarios.PAID_OBJECTIVE_S))
    for seconds in LENT_AFTER_SECONDS:
        with mock.patch.object(lending, "LEND_AFTER_SECONDS", seconds):
            crowd = scenarios.flood(10.0, 2, 0.6, scenarios.PAID_OBJECTIVE_S)
        flooded = p95(start.wait for start in crowd.started if start.job.tier == "paid" and start.at >= scenarios.WARM_SECONDS)
        part = busy(crowd.started, 2, scenarios.WARM_SECONDS, crowd.at)
        yield "never" if seconds > 1e6 else f"{seconds:g} s", f"{flooded / alone:.3f}", f"{part:.0%}"


def rush() -> Iterable[Row]:
    """A rush of two minutes, paid load 150 % and free 200 %, and nobody after it: how soon the deferred jobs are done."""
    yield "lent after", "workers busy in the two minutes after the last paid start", "last deferred start"
    for seconds in (10.0, 1e9):
        with mock.patch.object(lending, "LEND_AFTER_SECONDS", seconds):
            crowd = Crowd(Policy([FREE, PAID], wait_objective_seconds=1.0), 8, SEED)
            crowd.keep_sending("paid", lambda at: 1.5 * 8 / COST_MEAN_S * (at < 120), accounts=200)
            crowd.keep_sending("free", lambda at: 2.0 * 8 / COST_MEAN_S * (at < 120), accounts=2000)
            crowd.run(until=1800.0)
        last_paid = max(start.at for start in crowd.started if start.job.tier == "paid")
        last = max(start.at for start in crowd.started)
        part = busy(crowd.started, 8, last_paid, last_paid + 120)
        yield "never" if seconds > 1e6 else f"{seconds:g} s", f"{part:.0%}", f"{last:.0f} s"


def told() -> Iterable[Row]:
    """Starts within the ninetieth percentile told, by tier and by how long that was."""
    yield "tier", "told", "starts", "within it"
    starts = [start for start in scenarios.told_starts() if start.p90 is not None]
    for tier in ("free", "paid"):
        for low, high in ((0.0, 16.0), (16.0, 256.0), (256.0, 1e9)):
            found = [start for start in starts if start.job.tier == tier and low <= (start.p90 or 0.0) < high]
            if found:
                part = sum(map(scenarios.inside, found)) / len(found)
                yield tier, f"{low:g} to {high:g} s" if high < 1e9 else f"{low:g} s or more", f"{len(found):,}", f"{part:.0%}"


def busy(started: Iterable[Started], workers: int, begin: float, end: float) -> float:
    """The part of the workers' time between two moments that they worked in."""
    work = (min(end, start.at + start.real_ms / 1000) - max(begin, start.at) for start in started)
    return sum(each for each in work if each > 0) / (workers * (end - begin))


def table(rows: Iterable[Row]) -> str:
    """Rows, the first of which is the head, as Markdown."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))
