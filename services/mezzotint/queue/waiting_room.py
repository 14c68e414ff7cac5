"""Jobs that wait: the ready ones in a fair order, the deferred ones, and those whose time has not come."""

from collections.abc import Collection

from mezzotint.queue.appointments import Appointments
from mezzotint.queue.clock_steps import ClockSteps
from mezzotint.queue.deferral import Deferral
from mezzotint.queue.expiries import Expiries
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.kinds import Kinds, Moment, Place
from mezzotint.queue.lending import Idle, Lending
from mezzotint.queue.tiers import Policy


class WaitingRoom:
    """Pure: it is told the moment."""

    def __init__(self, policy: Policy) -> None:
        self.steps = ClockSteps()
        """Since when a job that entered waits, to be read."""
        self.kinds = Kinds(policy, self.steps.waits_since)
        self._deferral = Deferral(policy, self.kinds, self.steps)
        self.peak = self._deferral.peak
        self._lending = Lending(self.kinds)
        self._appointments = Appointments()
        self._expiries = Expiries(self.steps)
        self._turn = 0

    def defers(self, tier: str, kind: str) -> str:
        """Why a new job is deferred, for people; "" when it is not."""
        return self._deferral.reason(tier, kind)

    def enter(self, job: Job, moment: Moment, *, again: bool = False) -> None:
        """A job waits, from now on or from its `not_before`. `again`: it waited before, and keeps its place."""
        self.steps.look(job, moment)
        if job.not_before and self.steps.early(job, moment):
            self.steps.forget(job)
            self._appointments.add(job, moment)
        else:
            if job.not_before or job.started_at:
                self.steps.come(job, moment)
            self._expiries.add(job)
            self.kinds.of(job.kind).add(job, moment.at, front=again)

    def leave(self, job: Job, *, for_good: bool = True) -> None:
        """A job waits no more, or not as it did; nothing happens if it was picked or admitted."""
        self._expiries.discard(job)
        if not self._appointments.discard(job):
            self.kinds.of(job.kind).discard(job, for_good=for_good)
        if for_good:
            self.steps.forget(job)

    def pick(self, kinds: Collection[str], moment: Moment, tiers: Collection[str] | None = None) -> Job | None:
        """The next job for a worker of these kinds, of these tiers or of any, from now on under way. Kinds take turns."""
        ready = [kind for name in kinds if (kind := self.kinds.by_name.get(name)) and kind.scheduler.ready_in(tiers)]
        if not ready:
            return None
        self._turn += 1
        job = ready[self._turn % len(ready)].pick(moment, tiers)
        assert job, "a scheduler with ready jobs gives one"
        self._expiries.discard(job)
        self._deferral.started(job, moment)
        return job

    def hold(self, job: Job) -> None:
        """A job was under way when the queue stopped and still is."""
        self.kinds.of(job.kind).scheduler.hold(job)

    def release(self, job: Job, cost_ms: int | None, at: float = 0.0, *, for_good: bool = False) -> None:
        """A job is under way no longer, from `at` on, at this cost; None: as expected. Not `for_good`: it may wait again."""
        self.kinds.of(job.kind).scheduler.release(job, cost_ms, at)
        if for_good:
            self.steps.forget(job)

    def admit(self, moment: Moment, idle: Idle) -> list[Job]:
        """Deferred jobs to be queued now: their time has come, the peak's pace allows, or nobody else wants what is idle.

        A job given that does not become QUEUED must enter again. Retries whose time has come become ready by themselves. `idle`
        names every kind that workers take, if none of them is idle: without workers the pace stands still.
        """
        served = {kind for kinds in idle for kind in kinds}
        self._deferral.update(moment.at, served)
        admitted: list[Job] = []
        for job in self._appointments.due(moment):
            self.steps.come(job, moment)
            if job.state is JobState.DEFERRED and not self.defers(job.tier, job.kind):
                admitted.append(job)
            else:
                self._expiries.add(job)
                self.kinds.of(job.kind).add(job, moment.at, front=job.state is not JobState.DEFERRED)
        for name, kind in self.kinds.by_name.items():
            if name in served:
                admitted += kind.admit(moment, self.peak.pace)
        return admitted + self._lending.lend(idle, moment, self._deferral.tiers)

    def expired(self, at: float) -> list[str]:
        """The jobs that wait and should have begun by a steady moment; each is given once."""
        return self._expiries.due(at)

    def observe(self, at: float, served: Collection[str]) -> None:
        """After a round of picks, at a steady moment: what is ready has to wait for the workers, of the `served` kinds."""
        for name, kind in self.kinds.by_name.items():
            kind.observe(at, served=name in served)

    def place(self, job: Job, moment: Moment, served: Collection[str]) -> Place:
        """Where a job stands; no time is promised of kinds that are not `served` by any worker, but that of its appointment.

        One that was just picked is before all others for a time not known.
        """
        left = self._appointments.left(job, moment)
        if left is not None:
            return Place(0, left)
        place = self.kinds.of(job.kind).place(job, moment.at, self.peak.pace) or Place(0, None)
        return place if job.kind in served else Place(place.position, None)

    def replace(self, policy: Policy) -> None:
        """Another policy is in force from now on, for jobs that wait as well."""
        self._deferral.replace(policy)
        self.kinds.replace(policy)
