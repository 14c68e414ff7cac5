"""How many jobs wait and run in each tier, counted as they change."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mezzotint.queue.job import Job, JobState, Transition


@dataclass(frozen=True, slots=True)
class TierCount:
    """The jobs of one tier."""

    tier: str
    queued: int
    deferred: int
    running: int


class Census:
    """Counts jobs by tier and state."""

    def __init__(self, tiers: Iterable[str]) -> None:
        self._tiers = dict.fromkeys(tiers)
        self._counts: Counter[tuple[str, JobState]] = Counter()

    def restore(self, job: Job) -> None:
        """A job that is there since before the start."""
        self._count(job, 1)

    def observe(self, change: Transition) -> None:
        """A job changed."""
        if change.before:
            self._count(change.before, -1)
        self._count(change.job, 1)

    def tiers(self) -> list[TierCount]:
        """Every tier, those of the policy first."""
        states = (JobState.QUEUED, JobState.DEFERRED, JobState.RUNNING)
        return [TierCount(tier, *(self._counts[tier, state] for state in states)) for tier in self._tiers]

    def _count(self, job: Job, by: int) -> None:
        if not job.state.final:
            self._tiers.setdefault(job.tier)
            self._counts[job.tier, job.state] += by
