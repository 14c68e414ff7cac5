"""Jobs that wait: the ready ones in a fair order, and those whose time has not come."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.job import Job
from mezzotint.queue.rates import GrantRate
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.tiers import Tier

EXPIRY_GRAIN_SECONDS = 1.0
RETRY_GRAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Jobs expected to start before one, and the seconds until it starts; None: not known."""

    position: int
    eta: float | None


class Kind:
    """The ready jobs of one kind, and how fast they are handed out."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.scheduler = Scheduler(tiers)
        self.rate = GrantRate()
        self.granted_ms = 0


class WaitingRoom:
    """Pure: `now` is wall time where a job's own moments are compared with it, else monotonic."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = tiers
        self._kinds: dict[str, Kind] = {}
        self._delayed: dict[str, Job] = {}
        self._retries = Deadlines(RETRY_GRAIN_SECONDS)
        self._expiries = Deadlines(EXPIRY_GRAIN_SECONDS)
        self._turn = 0

    def enter(self, job: Job, now: float, *, again: bool = False) -> None:
        """A job waits, ready at once or at its `not_before`. `again`: it waited before and goes before its account's others."""
        if not job.attempt:
            self._expiries.add(job.expires_at, job.job_id)
        if job.not_before > now:
            self._delayed[job.job_id] = job
            self._retries.add(job.not_before, job.job_id)
        else:
            self._kind(job).scheduler.add(job, front=again)

    def leave(self, job: Job) -> None:
        """A job waits no more; nothing happens if it was picked."""
        self._expiries.discard(job.expires_at, job.job_id)
        if self._delayed.pop(job.job_id, None):
            self._retries.discard(job.not_before, job.job_id)
        else:
            self._kind(job).scheduler.discard(job)

    def pick(self, kinds: Collection[str]) -> Job | None:
        """The next job for a worker of these kinds, from now on under way. Kinds with work take turns."""
        ready = [kind for name in kinds if (kind := self._kinds.get(name)) and len(kind.scheduler)]
        if not ready:
            return None
        self._turn += 1
        kind = ready[self._turn % len(ready)]
        job = kind.scheduler.pick()
        assert job, "a scheduler with ready jobs gives one"
        self._expiries.discard(job.expires_at, job.job_id)
        kind.granted_ms += job.cost_ms
        return job

    def hold(self, job: Job) -> None:
        """A job was under way when the queue stopped and still is."""
        self._kind(job).scheduler.hold(job)

    def release(self, job: Job, cost_ms: int | None) -> None:
        """A job is no longer under way, at this cost; None: as expected."""
        self._kind(job).scheduler.release(job, cost_ms)

    def ripen(self, now: float) -> None:
        """Make ready the jobs whose `not_before` has come."""
        for job_id in self._retries.due(now):
            if job := self._delayed.pop(job_id, None):
                self._kind(job).scheduler.add(job, front=True)

    def expired(self, now: float) -> list[str]:
        """The jobs that wait and should have begun by now; each is given once."""
        return self._expiries.due(now)

    def observe(self, now: float, served: Collection[str]) -> None:
        """After a round of picks, at a monotonic moment: what is ready has to wait for the workers, of the `served` kinds."""
        for name, kind in self._kinds.items():
            kind.rate.observe(now, backlog=name in served and len(kind.scheduler) > 0, cost_ms=kind.granted_ms)
            kind.granted_ms = 0

    def place(self, job: Job) -> Place:
        """Where a job stands. One that was just picked or waits for its retry is before all others, for a time not known."""
        kind = self._kind(job)
        ahead = kind.scheduler.ahead(job)
        return Place(ahead.jobs, kind.rate.wait(ahead.cost_ms)) if ahead else Place(0, None)

    def _kind(self, job: Job) -> Kind:
        kind = self._kinds.get(job.kind)
        if kind is None:
            kind = self._kinds[job.kind] = Kind(self._tiers)
        return kind
