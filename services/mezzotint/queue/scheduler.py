"""Which job a worker gets next: tiers by their shares, and within a tier accounts by the work they have had.

Pure, for jobs of one kind: no clock, no randomness, no I/O. A job is added when it is ready, picked, and released when its
lease ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mezzotint.queue.job import Job
from mezzotint.queue.shares import TierShares
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected to start before a job: how many jobs, and how many milliseconds of work."""

    jobs: int
    cost_ms: float


class Scheduler:
    """Jobs that are ready and jobs that are under way. Jobs of a tier that no policy names count as weight 1."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._shares = TierShares(tiers)
        self._lines = {tier.name: TierLine() for tier in tiers}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job is ready; `front`: it was under way or waited its turn already, and goes before its account's others."""
        self._line(job.tier).add(job, front=front)

    def discard(self, job: Job) -> bool:
        """A job is not ready any more; False when it was not."""
        line = self._line(job.tier)
        found = line.discard(job)
        if found and not len(line):
            self._shares.leave(job.tier, self._waiting())
        return found

    def pick(self) -> Job | None:
        """The next job, from now on under way; None when no job is ready."""
        waiting = self._waiting()
        if not waiting:
            return None
        tier = self._shares.choose(waiting)
        job = self._lines[tier].pop()
        self._shares.charge(tier, job.cost_ms, waiting)
        if not len(self._lines[tier]):
            self._shares.leave(tier, self._waiting())
        return job

    def hold(self, job: Job) -> None:
        """A job is under way that was not picked here: a restart lies between."""
        self._line(job.tier).hold(job)

    def release(self, job: Job, cost_ms: int | None = None) -> None:
        """A job is no longer under way; its account is charged what it cost, 0 if it was not begun, None as was expected."""
        self._line(job.tier).release(job, job.cost_ms if cost_ms is None else cost_ms)

    def ahead(self, job: Job) -> Ahead | None:
        """What is expected to start before `job`; None when it is not ready.

        Exact within its tier but for costs corrected since it was added; the other tiers are taken to move on by their shares.
        """
        own = self._line(job.tier).before(job)
        if own is None:
            return None
        jobs, cost_ms = own
        shares = self._shares.shares(self._waiting())
        total_jobs, total_cost = float(jobs), float(cost_ms)
        for name in shares.keys() - {job.tier}:
            ranks = self._lines[name].ranks
            part = min(1.0, cost_ms * shares[name] / shares[job.tier] / ranks.cost_ms) if ranks.cost_ms else 0.0
            total_jobs += part * ranks.count
            total_cost += part * ranks.cost_ms
        return Ahead(round(total_jobs), total_cost)

    def waiting(self) -> dict[str, int]:
        """Ready jobs by tier."""
        return {name: len(line) for name, line in self._lines.items()}

    def _waiting(self) -> list[str]:
        return [name for name, line in self._lines.items() if len(line)]

    def _line(self, tier: str) -> TierLine:
        line = self._lines.get(tier)
        if line is None:
            line = self._lines[tier] = TierLine()
            self._shares.admit(Tier(tier))
        return line
