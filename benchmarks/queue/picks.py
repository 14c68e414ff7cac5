"""What one decision of the scheduler costs, with few and with many jobs waiting. No process, no disk."""

import gc
import statistics
import time

from benchmarks.queue.jobs import TIERS, record
from mezzotint.queue import transitions
from mezzotint.queue.job import Job
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.tiers import Tier

FEW = 10_000
JOBS_AN_ACCOUNT = 10
PICKS_A_ROUND = 200
WEIGHTS = (1, 4, 8, 16)


def pick_us(jobs: int, picks: int) -> float:
    """Microseconds of a pick with `jobs` waiting, ten an account: the median of rounds of 200.

    What a round has picked is replaced before the next, so that the number of waiting jobs stays.
    """
    scheduler = Scheduler([Tier(name, weight=weight) for name, weight in zip(TIERS, WEIGHTS, strict=True)])
    accounts = max(1, jobs // JOBS_AN_ACCOUNT)
    for number in range(jobs):
        scheduler.add(_job(f"job_{number}", accounts))
    gc.collect()
    rounds = []
    for first in range(0, picks, PICKS_A_ROUND):
        began = time.perf_counter()
        picked = [scheduler.pick() for _ in range(PICKS_A_ROUND)]
        rounds.append((time.perf_counter() - began) / PICKS_A_ROUND)
        for number, job in enumerate(picked, first):
            assert job, "a scheduler with jobs gives one"
            scheduler.release(job)
            scheduler.add(_job(f"job_again_{number}", accounts))
    return statistics.median(rounds) * 1e6


def _job(job_id: str, accounts: int) -> Job:
    """A job that waits, of the next account."""
    return transitions.accept(record(accounts), job_id, 0.0).job
