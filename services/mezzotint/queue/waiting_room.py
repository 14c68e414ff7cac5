"""Jobs that wait: the ready ones in a fair order, the deferred ones, and those whose time has not come."""

from collections.abc import Collection, Iterator

from mezzotint.queue.aging import waits_since
from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.kinds import Kind, Moment, Place
from mezzotint.queue.peak import PeakController, PeakMode
from mezzotint.queue.tiers import Policy

EXPIRY_GRAIN_SECONDS = 1.0
RETRY_GRAIN_SECONDS = 0.05
AT_PEAK = "many pictures are asked for just now; its turn comes at the pace that is kept for its tier, or after the peak"
AFTER_PEAK = "jobs that were deferred at a peak go before it"


class WaitingRoom:
    """Pure: it is told the moment."""

    def __init__(self, policy: Policy) -> None:
        self.peak = PeakController(policy.wait_objective_seconds)
        self._policy = policy
        self._deferrable = policy.deferrable()
        self.kinds: dict[str, Kind] = {}
        self._delayed: dict[str, Job] = {}
        self._retries = Deadlines(RETRY_GRAIN_SECONDS)
        self._expiries = Deadlines(EXPIRY_GRAIN_SECONDS)
        self._paused: frozenset[str] = frozenset()
        self._turn = 0

    def defers(self, tier: str, kind: str) -> str:
        """Why a new job is deferred, for people; "" when it is not."""
        if tier not in self._deferrable:
            return ""
        if self.peak.mode is PeakMode.DEFERRING:
            return AT_PEAK
        sideline = self.kinds[kind].sidelines.get(tier) if kind in self.kinds else None
        return AFTER_PEAK if sideline else ""

    def enter(self, job: Job, moment: Moment, *, again: bool = False) -> None:
        """A job waits, from now on or from its `not_before`. `again`: it waited before and goes before its account's others."""
        if not job.attempt:
            self._expiries.add(job.expires_at, job.job_id)
        if job.not_before > moment.now:
            self._delayed[job.job_id] = job
            self._retries.add(job.not_before, job.job_id)
        else:
            self._kind(job.kind).add(job, moment.at, front=again)

    def leave(self, job: Job, *, for_good: bool = True) -> None:
        """A job waits no more, or not as it did; nothing happens if it was picked or admitted."""
        self._expiries.discard(job.expires_at, job.job_id)
        if self._delayed.pop(job.job_id, None):
            self._retries.discard(job.not_before, job.job_id)
        else:
            self._kind(job.kind).discard(job, for_good=for_good)

    def pick(self, kinds: Collection[str], moment: Moment) -> Job | None:
        """The next job for a worker of these kinds, from now on under way. Kinds with work take turns."""
        ready = [kind for name in kinds if (kind := self.kinds.get(name)) and kind.scheduler.ready]
        if not ready:
            return None
        self._turn += 1
        job = ready[self._turn % len(ready)].pick(moment)
        assert job, "a scheduler with ready jobs gives one"
        self._expiries.discard(job.expires_at, job.job_id)
        if not job.attempt and job.tier not in self._deferrable:
            self.peak.observe(moment.at, moment.now - waits_since(job))
        return job

    def hold(self, job: Job) -> None:
        """A job was under way when the queue stopped and still is."""
        self._kind(job.kind).scheduler.hold(job)

    def release(self, job: Job, cost_ms: int | None) -> None:
        """A job is no longer under way, at this cost; None: as expected."""
        self._kind(job.kind).scheduler.release(job, cost_ms)

    def admit(self, moment: Moment) -> list[Job]:
        """Deferred jobs to be queued now: their time has come, or the peak's pace allows.

        A job given that does not become QUEUED must enter again. Retries whose time has come become ready by themselves.
        """
        paid = any(count for kind in self.kinds.values() for count in self._paid(kind))
        pressed = self.peak.update(moment.at, waiting=paid) is not PeakMode.NORMAL
        for kind in self.kinds.values():
            kind.scheduler.give_way(self._deferrable if pressed else frozenset())
        admitted: list[Job] = []
        for job in self._ripe(moment.now):
            if job.state is JobState.DEFERRED and not self.defers(job.tier, job.kind):
                admitted.append(job)
            else:
                self._kind(job.kind).add(job, moment.at, front=job.state is not JobState.DEFERRED)
        for kind in self.kinds.values():
            admitted += kind.admit(moment, self.peak.pace)
        return admitted

    def expired(self, now: float) -> list[str]:
        """The jobs that wait and should have begun by now; each is given once."""
        return self._expiries.due(now)

    def observe(self, at: float, served: Collection[str]) -> None:
        """After a round of picks, at a steady moment: what is ready has to wait for the workers, of the `served` kinds."""
        for name, kind in self.kinds.items():
            kind.observe(at, served=name in served)

    def place(self, job: Job, at: float) -> Place:
        """Where a job stands. One that was just picked, or waits for a moment, is before all others for a time not known."""
        return self._kind(job.kind).place(job, at, self.peak.pace) or Place(0, None)

    def replace(self, policy: Policy) -> None:
        """Another policy is in force from now on, for jobs that wait as well."""
        self._policy = policy
        self._deferrable = policy.deferrable()
        self.peak.objective = policy.wait_objective_seconds
        for kind in self.kinds.values():
            kind.replace(policy)

    def pause(self, tiers: frozenset[str]) -> None:
        """The jobs of exactly these tiers are not picked from now on."""
        self._paused = tiers
        for kind in self.kinds.values():
            kind.scheduler.pause(tiers)

    def _paid(self, kind: Kind) -> Iterator[int]:
        return (count for tier, count in kind.scheduler.lines.waiting().items() if tier not in self._deferrable)

    def _ripe(self, now: float) -> Iterator[Job]:
        for job_id in self._retries.due(now):
            if job := self._delayed.pop(job_id, None):
                yield job

    def _kind(self, name: str) -> Kind:
        kind = self.kinds.get(name)
        if kind is None:
            kind = self.kinds[name] = Kind(self._policy)
            kind.scheduler.pause(self._paused)
        return kind
