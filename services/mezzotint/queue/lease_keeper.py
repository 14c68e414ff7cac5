"""Keeps leases alive and true: heartbeats, workers that vanish and come back, time that runs out."""

from collections.abc import Iterable, Sequence

from mezzotint.queue.job import Job, JobState, Transition
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.roster import Roster
from mezzotint.queue.worker import Withdrawn, Worker
from mezzotint.runtime.clock import Clock


class LeaseKeeper:
    """Brings the table of leases and what the workers say together. On the event loop only."""

    def __init__(self, leases: LeaseTable, roster: Roster, endings: LeaseEndings, clock: Clock) -> None:
        self._leases = leases
        self._roster = roster
        self._endings = endings
        self._clock = clock

    @property
    def lease_seconds(self) -> float:
        """How long a lease lasts without a heartbeat."""
        return self._leases.duration

    def restore(self, jobs: Iterable[Job]) -> None:
        """After a restart: workers that held jobs have the grace to come back for them."""
        now = self._clock.monotonic()
        for job in jobs:
            if job.state is JobState.RUNNING:
                self._leases.grant(LeaseRef(job.job_id, job.token), job.worker_id, now, restored=True)

    def join(self, worker: Worker, named: Sequence[LeaseRef]) -> list[LeaseRef]:
        """A worker opened its stream and works on `named`: gives the leases that are still its own."""
        self._roster.join(worker)
        kept, lost = self._leases.adopt(worker.worker_id, named, self._clock.monotonic())
        self._endings.lose(worker.worker_id, lost)
        return kept

    def depart(self, worker: Worker) -> None:
        """A worker's stream is over; what it holds waits for it until the grace is over."""
        self._endings.eased.set()
        if self._roster.depart(worker):
            self._leases.detach(worker.worker_id, self._clock.monotonic())

    def beat(self, worker: Worker, named: Sequence[LeaseRef]) -> None:
        """A heartbeat: what it names lives on; what it ought to name and does not is lost; what is not its own it drops."""
        worker.silent = False
        lost, foreign = self._leases.beat(worker.worker_id, named, self._clock.monotonic())
        self._endings.lose(worker.worker_id, lost)
        for ref in foreign:
            if ref not in worker.settling:
                worker.send(Withdrawn(ref, "the lease is over"))

    def holds(self, worker: Worker, ref: LeaseRef) -> bool:
        """The lease is the worker's; else it is told to drop the job."""
        found = self._leases.holds(ref, worker.worker_id)
        if not found:
            worker.send(Withdrawn(ref, "the lease is over"))
        return found

    async def idle(self) -> None:
        """Wait until no connected worker holds or gets anything."""
        while any(self._leases.held(each.worker_id) or each.settling or each.starting for each in self._roster.all()):
            self._endings.eased.clear()
            await self._endings.eased.wait()

    def tick(self) -> None:
        """End the leases whose time is over; who let one run out gets no job before it is heard again."""
        for lease in self._leases.expired(self._clock.monotonic()):
            if worker := self._roster.get(lease.worker_id):
                worker.silent = True
                worker.send(Withdrawn(lease.ref, "no heartbeat came in time"))
            self._endings.lose(lease.worker_id, [lease.ref])

    def observe(self, changes: Iterable[Transition]) -> None:
        """Keep the leases true to what was kept, and push the end of one that its worker did not ask for."""
        for change in changes:
            if change.before:
                self._follow(change)

    def _follow(self, change: Transition) -> None:
        job = change.job
        if job.state is JobState.RUNNING:
            self._leases.grant(LeaseRef(job.job_id, job.token), job.worker_id, self._clock.monotonic())
        elif change.before and change.before.state is JobState.RUNNING:
            self._endings.eased.set()
            ref = LeaseRef(job.job_id, change.before.token)
            if self._leases.release(ref) and (worker := self._roster.get(change.before.worker_id)):
                reason = change.event.failure.message if change.event.failure else ""
                worker.send(Withdrawn(ref, reason or f"the job is {job.state.name.lower()}"))
