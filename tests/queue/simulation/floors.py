"""I10: a tier with a floor gets at least that part of the work that is handed out while it has work that may start."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from mezzotint.queue.job import Job, JobState, Transition
from mezzotint.queue.tiers import Tier

# A tier and a kind of job: each kind is shared out by itself.
Key = tuple[str, str]
WAITING = (JobState.QUEUED, JobState.DEFERRED)


class Floors:
    """How far each tier is behind its floor: over any window of one life of the queue, however short or long, in which it had
    work that could start, it must have been granted its part of what was granted, but for `tolerance_ms` of work.

    Deferred jobs whose time has come count as such work: they are admitted at the floor rate. Jobs of accounts that have as
    many under way as their tier allows do not. Work is what was expected of a job until it ends, and what it took from then on.
    """

    def __init__(self, tiers: Sequence[Tier], tolerance_ms: float) -> None:
        self.most = 0.0
        """The furthest that a tier was behind."""
        self._tiers = {tier.name: tier for tier in tiers}
        self._tolerance = tolerance_ms
        self._waiting: defaultdict[Key, dict[str, Job]] = defaultdict(dict)
        self._running: Counter[str] = Counter()
        self._behind: defaultdict[Key, float] = defaultdict(float)

    def restarted(self) -> None:
        """The queue has forgotten who got how much: other windows begin."""
        self._behind.clear()

    def entered(self, job: Job) -> None:
        """A new job waits."""
        self._waiting[job.tier, job.kind][job.job_id] = job

    def changed(self, change: Transition) -> None:
        """A job went on. Raises AssertionError when a tier is too far behind."""
        before, job, at = change.before, change.job, change.event.at
        assert before
        if job.state is JobState.RUNNING:
            self._grant(job, job.cost_ms, at)
        elif before.state is JobState.RUNNING and change.cost_ms is not None:
            self._grant(job, change.cost_ms - job.cost_ms, at)
        self._running[job.account_id] += (job.state is JobState.RUNNING) - (before.state is JobState.RUNNING)
        self._waiting[job.tier, job.kind].pop(job.job_id, None)
        if job.state in WAITING:
            self.entered(job)
        self._end_windows(job.kind, at)

    def _grant(self, job: Job, work_ms: float, at: float) -> None:
        """The tier of a job got so much work, or less than was taken for granted."""
        self._end_windows(job.kind, at)
        for name, tier in self._tiers.items():
            key = name, job.kind
            if self._eligible(key, at):
                behind = self._behind[key] + tier.share_min * work_ms - (work_ms if name == job.tier else 0.0)
                self._behind[key] = max(0.0, behind)  # whatever a tier had before is no reason to have less now
                self.most = max(self.most, behind)
                assert behind <= self._tolerance, f"I10: {name} is {behind:.0f} ms of {job.kind} work behind its floor"

    def _end_windows(self, kind: str, at: float) -> None:
        for name in self._tiers:
            if not self._eligible((name, kind), at):
                self._behind[name, kind] = 0

    def _eligible(self, key: Key, at: float) -> bool:
        running_max = self._tiers[key[0]].account_running_max
        return any(
            job.not_before <= at and (running_max is None or self._running[job.account_id] < running_max)
            for job in self._waiting[key].values()
        )
