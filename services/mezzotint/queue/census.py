"""How many jobs wait and run in each tier, for how long, and how fast they start; counted as they change."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mezzotint.queue.job import Job, JobState, Transition
from mezzotint.queue.minute import Minute
from mezzotint.runtime.clock import Clock

# Records of jobs that wait no more are cleared out when there are this many of them and as many as others.
STALE_MAX = 64


@dataclass(frozen=True, slots=True)
class TierCount:
    """The jobs of one tier. `oldest_wait` is in seconds, `starts_per_second` and `share` (0 to 1) are of the last minute."""

    tier: str
    queued: int
    deferred: int
    running: int
    oldest_wait: float
    starts_per_second: float
    share: float


class Census:
    """Counts jobs by tier and state.

    `hot` gives a job that is not final as it stands, `since` when one that is queued began to wait, on the steady clock.
    """

    def __init__(
        self, tiers: Iterable[str], clock: Clock, hot: Callable[[str], Job | None], since: Callable[[Job], float]
    ) -> None:
        self._tiers = dict.fromkeys(tiers)
        self._clock = clock
        self._hot = hot
        self._since = since
        self._counts: Counter[tuple[str, JobState]] = Counter()
        self._queued: dict[str, deque[Job]] = {}
        self._starts = Minute(clock)
        self._work = Minute(clock)

    def restore(self, jobs: Iterable[Job]) -> None:
        """Jobs that are there since before the start."""
        for job in jobs:
            self._count(job, 1)
            self._note(job)

    def observe(self, changes: Iterable[Transition]) -> None:
        """Jobs changed."""
        for change in changes:
            job = change.job
            if change.before:
                self._count(change.before, -1)
            self._count(job, 1)
            self._note(job)
            if job.state is JobState.RUNNING:
                self._starts.add(job.tier, 1)
                self._work.add(job.tier, job.cost_ms)

    def know(self, tiers: Iterable[str]) -> None:
        """The policy names these tiers now; they come first, others only while they have jobs."""
        named = dict.fromkeys(tiers)
        self._tiers = named | {tier: None for tier in self._tiers if tier not in named and self._any(tier)}

    def names(self) -> list[str]:
        """The tiers, those of the policy first."""
        return list(self._tiers)

    def count(self, tier: str, state: JobState) -> int:
        """The jobs of a tier in a state that is not final."""
        return self._counts[tier, state]

    def tiers(self) -> list[TierCount]:
        """Every tier, those of the policy first."""
        work = self._work.totals()
        granted = sum(work.values())
        return [
            TierCount(
                tier,
                queued=self.count(tier, JobState.QUEUED),
                deferred=self.count(tier, JobState.DEFERRED),
                running=self.count(tier, JobState.RUNNING),
                oldest_wait=self._oldest_wait(tier),
                starts_per_second=self._starts.rate(tier),
                share=work[tier] / granted if granted else 0.0,
            )
            for tier in self._tiers
        ]

    def _any(self, tier: str) -> bool:
        return any(self._counts[tier, state] for state in JobState if not state.final)

    def _count(self, job: Job, by: int) -> None:
        if job.state <= JobState.RUNNING:
            self._tiers.setdefault(job.tier)
            self._counts[job.tier, job.state] += by

    def _note(self, job: Job) -> None:
        """Remember a job that waits, those that wait longest first."""
        if job.state is not JobState.QUEUED:
            return
        line = self._queued.get(job.tier)
        if line is None:
            line = self._queued[job.tier] = deque()
        if line and not _later(job, line[0]) and self._since(job) < self._since(line[0]):
            line.appendleft(job)
        else:
            line.append(job)
        if len(line) > STALE_MAX + 2 * self._counts[job.tier, JobState.QUEUED]:
            self._queued[job.tier] = deque(each for each in line if self._hot(each.job_id) is each)

    def _oldest_wait(self, tier: str) -> float:
        """Seconds that the tier's oldest queued job waits; 0 without one."""
        line = self._queued.get(tier, deque())
        while line and self._hot(line[0].job_id) is not line[0]:
            line.popleft()
        return max(0.0, self._clock.monotonic() - self._since(line[0])) if line else 0.0


def _later(job: Job, other: Job) -> bool:
    """Both wait since they were accepted, `job` after `other`: seen at a glance, as a million of them may be looked at."""
    plain = not (job.not_before or job.started_at or other.not_before or other.started_at)
    return plain and job.number > other.number
