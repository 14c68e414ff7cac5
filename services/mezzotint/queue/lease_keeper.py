"""Sees to leases from grant to end: heartbeats, results, workers that vanish and come back."""

import asyncio
from collections.abc import Sequence
from functools import partial

from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, Transition
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.ledger import Decide, Ledger
from mezzotint.queue.worker import LEASES_MAX, Settlement, Withdrawn, Worker
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import JobFinished, JobNotFound, LeaseStale, ProtocolViolation

LOST = Failure(FailureClass.WORKER_LOST, "LEASE_STALE", "the worker stopped answering; the job goes to another")


class LeaseKeeper:
    """Knows the connected workers and their leases. On the event loop only."""

    def __init__(self, ledger: Ledger, leases: LeaseTable, clock: Clock, background: Background) -> None:
        self._ledger = ledger
        self._leases = leases
        self._clock = clock
        self._background = background
        self._eased = asyncio.Event()
        self.workers: dict[str, Worker] = {}
        ledger.listeners.append(self._observe)

    def restore(self, job: Job) -> None:
        """After a restart: a worker that held the job has the grace to come back for it."""
        if job.state is JobState.RUNNING:
            self._leases.restore(LeaseRef(job.job_id, job.token), job.worker_id, self._clock.monotonic())

    def free(self, worker: Worker) -> bool:
        """The worker can be given a job."""
        holds = self._leases.held(worker.worker_id) + worker.starting
        return worker.credits > 0 and holds < LEASES_MAX and not worker.full and not worker.closed

    def join(self, worker: Worker, named: Sequence[LeaseRef]) -> list[LeaseRef]:
        """A worker opened its stream and works on `named`: gives the leases that are still its own."""
        if earlier := self.workers.get(worker.worker_id):
            earlier.close(ProtocolViolation("another stream with this worker id took over; give each worker an id of its own"))
        self.workers[worker.worker_id] = worker
        kept, lost = self._leases.adopt(worker.worker_id, named, self._clock.monotonic())
        self._lose(worker.worker_id, lost)
        return kept

    def depart(self, worker: Worker) -> None:
        """A worker's stream is over; what it holds waits for it until the grace is over."""
        worker.close()
        self._eased.set()
        if self.workers.get(worker.worker_id) is worker:
            del self.workers[worker.worker_id]
            self._leases.detach(worker.worker_id, self._clock.monotonic())

    def beat(self, worker: Worker, named: Sequence[LeaseRef]) -> None:
        """A heartbeat: what it names lives on; what it ought to name and does not is lost; what is not its own it drops."""
        lost, foreign = self._leases.beat(worker.worker_id, named, self._clock.monotonic())
        self._lose(worker.worker_id, lost)
        for ref in foreign:
            if ref not in worker.settling:
                worker.send(Withdrawn(ref, "the lease is over"))

    def holds(self, worker: Worker, ref: LeaseRef) -> bool:
        """The lease is the worker's; else it is told to drop the job."""
        found = self._leases.holds(ref, worker.worker_id)
        if not found:
            worker.send(Withdrawn(ref, "the lease is over"))
        return found

    async def end(self, worker: Worker, ref: LeaseRef, decide: Decide) -> None:
        """The worker ended a lease, in the way `decide` says: keep that, and answer with what became of it."""
        if self._leases.holds(ref, worker.worker_id):
            self._leases.release(ref)
        try:
            await self._ledger.insist(ref.job_id, decide)
        except (JobFinished, JobNotFound, LeaseStale) as error:
            reason = JobFinished.reason if isinstance(error, JobFinished) else LeaseStale.reason
            again = await self._settled_before(worker, ref)
            worker.send(Settlement(ref, accepted=again, reason="" if again else reason))
        else:
            worker.send(Settlement(ref, accepted=True))
        finally:
            worker.settling.discard(ref)
            self._eased.set()

    async def take_back(self, worker: Worker, job: Job) -> None:
        """A lease that never reached its worker ends as if it had not been."""
        self._leases.release(LeaseRef(job.job_id, job.token))
        now = self._clock.now()
        await self._unless_over(job.job_id, lambda found: transitions.hand_back(found, worker.worker_id, job.token, now))

    async def idle(self) -> None:
        """Wait until no connected worker holds or gets anything."""
        while any(self._leases.held(each.worker_id) or each.settling or each.starting for each in self.workers.values()):
            self._eased.clear()
            await self._eased.wait()

    async def tick(self) -> None:
        """End the leases whose time is over."""
        for lease in self._leases.expired(self._clock.monotonic()):
            if worker := self.workers.get(lease.worker_id):
                worker.send(Withdrawn(lease.ref, "no heartbeat came in time"))
            self._lose(lease.worker_id, [lease.ref])

    def _lose(self, worker_id: str, refs: Sequence[LeaseRef]) -> None:
        for ref in refs:
            self._leases.release(ref)
            self._background.spawn(self._unless_over(ref.job_id, partial(self._lost, worker_id, ref.token)))

    def _lost(self, worker_id: str, token: int, job: Job) -> Transition:
        return transitions.fail(job, worker_id, token, LOST, self._clock.now(), 0.0)

    async def _unless_over(self, job_id: str, decide: Decide) -> None:
        try:
            await self._ledger.insist(job_id, decide)
        except (JobFinished, JobNotFound, LeaseStale):
            return

    async def _settled_before(self, worker: Worker, ref: LeaseRef) -> bool:
        """The worker says again what was kept when it said so first: its answer was lost on the way."""
        try:
            job, _ = await self._ledger.get(ref.job_id)
        except JobNotFound:
            return False
        return job.state is JobState.SUCCEEDED and (job.token, job.worker_id) == (ref.token, worker.worker_id)

    def _observe(self, change: Transition) -> None:
        """Keep the leases true to what was kept, and push the end of one that its worker did not ask for."""
        job = change.job
        if job.state is JobState.RUNNING:
            self._leases.grant(LeaseRef(job.job_id, job.token), job.worker_id, self._clock.monotonic())
        elif change.before and change.before.state is JobState.RUNNING:
            self._eased.set()
            ref = LeaseRef(job.job_id, change.before.token)
            if self._leases.release(ref) and (worker := self.workers.get(change.before.worker_id)):
                reason = change.event.failure.message if change.event.failure else ""
                worker.send(Withdrawn(ref, reason or f"the job is {job.state.name.lower()}"))
