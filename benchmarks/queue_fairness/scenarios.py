"""The four questions, each a crowd in virtual time."""

from collections import Counter
from collections.abc import Iterable

from benchmarks.queue_fairness.crowd import COSTS_MS, Crowd, Started
from mezzotint.queue.tiers import Policy, Tier

SEED = 20_251_124
COST_MEAN_S = sum(COSTS_MS) / len(COSTS_MS) / 1000
FREE_FLOOR = 0.05
# About what paid users wait, in the 95th percentile of a usual minute, when they are alone.
PAID_OBJECTIVE_S = 2.0
WARM_SECONDS = 300.0
FREE = Tier("free", 1, share_min=FREE_FLOOR, deferrable=True)
PAID = Tier("paid", 28, share_min=0.30)


def jain() -> float:
    """Jain's index of the work of 1,000 accounts, one of which has 5,000 jobs waiting at all times and the others two."""
    crowd = Crowd(Policy([Tier("free")]), workers=64, seed=SEED)
    backlog = {"whale": 5000} | {f"small-{index}": 2 for index in range(999)}
    crowd.when_done = lambda job: crowd.send(job.tier, job.account_id)
    for account, jobs in backlog.items():
        for _ in range(jobs):
            crowd.send("free", account)
    crowd.run(until=30 * len(backlog) * COST_MEAN_S / 64)
    work: Counter[str] = Counter()
    for start in crowd.started:
        work[start.job.account_id] += start.real_ms
    return jain_index(work[account] for account in backlog)


def jain_index(values: Iterable[float]) -> float:
    """1 when all are equal, 1/n when one has everything."""
    found = list(values)
    return sum(found) ** 2 / (len(found) * sum(value * value for value in found))


def free_floor_error() -> float:
    """How far the free tier's part of the work is from its floor, in parts of it, while paid jobs arrive ten times too fast."""
    workers, warm, end = 4, 300.0, 3900.0
    crowd = Crowd(Policy([FREE, PAID], wait_objective_seconds=5.0), workers, SEED)
    capacity = workers / COST_MEAN_S
    crowd.keep_sending("paid", lambda at: 10 * capacity, accounts=5000)
    crowd.keep_sending("free", lambda at: capacity, accounts=5000)
    crowd.run(until=end)
    work: Counter[str] = Counter()
    for start in crowd.started:
        if start.at >= warm:
            work[start.job.tier] += start.real_ms
    return abs(work["free"] / sum(work.values()) / FREE_FLOOR - 1)


def paid_p95_over_unloaded(workers: int = 2, load: float = 0.6, objective: float = PAID_OBJECTIVE_S) -> float:
    """Paid users' p95 wait while free arrivals climb to ten times capacity, over the same without any free user."""
    flooded, alone = (paid_waits(free_peak, workers, load, objective) for free_peak in (10.0, 0.0))
    return p95(flooded) / p95(alone)


def paid_waits(free_peak: float, workers: int, load: float, objective: float, seed: int = SEED) -> list[float]:
    """Seconds that paid jobs wait in two hours without the first five minutes."""
    started = flood(free_peak, workers, load, objective, seed).started
    return [start.wait for start in started if start.job.tier == "paid" and start.at >= WARM_SECONDS]


def flood(free_peak: float, workers: int, load: float, objective: float, seed: int = SEED) -> Crowd:
    """Two hours of paid jobs at `load`, a part of the workers' capacity.

    Free arrivals climb within ten minutes from nothing to `free_peak` times the capacity and stay there.
    """
    climb, end = 600.0, 2 * 3600.0
    capacity = workers / COST_MEAN_S
    crowd = Crowd(Policy([FREE, PAID], wait_objective_seconds=objective), workers, seed)
    crowd.keep_sending("paid", lambda at: load * capacity, accounts=200)
    if free_peak:
        crowd.keep_sending("free", lambda at: free_peak * capacity * min(1.0, at / climb), accounts=2000)
    crowd.run(until=end)
    return crowd


def p95(values: Iterable[float]) -> float:
    """The 95th percentile."""
    ordered = sorted(values)
    return ordered[int(0.95 * len(ordered))]


def eta_in_p90_band() -> float:
    """The part of starts that came within the ninetieth percentile told on arrival, over hours that rise and fall."""
    told = [start for start in told_starts() if start.p90 is not None]
    return sum(inside(start) for start in told) / len(told)


def told_starts() -> list[Started]:
    """Two hours that rise and fall, in which every job was told its place on arrival."""
    workers = 8
    capacity = workers / COST_MEAN_S
    crowd = Crowd(Policy([FREE, PAID], wait_objective_seconds=5.0), workers, SEED, asks=True)
    crowd.keep_sending("paid", lambda at: capacity * day(at, 0.5, 0.9), accounts=300)
    crowd.keep_sending("free", lambda at: capacity * day(at + 900, 0.1, 1.2), accounts=3000)
    crowd.run(until=2 * 3600.0)
    return crowd.started


def day(at: float, low: float, high: float, period: float = 3600.0) -> float:
    """A load between two bounds that rises and falls evenly."""
    part = at % period / period
    return low + (high - low) * (2 * part if part < 0.5 else 2 - 2 * part)


def inside(start: Started) -> bool:
    """The job started when it was told it would, or before."""
    return start.p90 is not None and start.wait <= start.p90 + 1e-9
