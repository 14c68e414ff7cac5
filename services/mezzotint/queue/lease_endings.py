"""How leases end: by what the worker says, by its silence, or because they never reached it."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, Transition
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.ledger import Decide, Ledger
from mezzotint.queue.worker import Settlement, Worker
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import JobFinished, JobNotFound, LeaseStale

LOST = Failure(FailureClass.WORKER_LOST, "LEASE_STALE", "the worker stopped answering")


class LeaseEndings:
    """Takes leases off the table and keeps what that means for their jobs. On the event loop only.

    `refused` is told why the end of a lease that a worker told did not count.
    """

    def __init__(
        self,
        ledger: Ledger,
        leases: LeaseTable,
        clock: Clock,
        background: Background,
        refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._clock = clock
        self._background = background
        self._refused = refused
        self.eased = asyncio.Event()
        """Set when a worker may have less to do than before."""

    def end(self, worker: Worker, ref: LeaseRef, decide: Decide, *, done: bool = False) -> None:
        """The worker ended a lease, in the way `decide` says, `done`: with a result: keep that, and answer what became of it.

        From now on no silence and no heartbeat of the worker can end the lease otherwise.
        """
        worker.silent = False
        worker.settling[ref] += 1
        if self._leases.holds(ref, worker.worker_id):
            self._leases.release(ref)
        self._ledger.change_soon(ref.job_id, decide, partial(self._ended, worker, ref, decide, done))

    def _ended(
        self, worker: Worker, ref: LeaseRef, decide: Decide, done: bool, outcome: tuple[Job, Any] | BaseException
    ) -> None:
        if isinstance(outcome, BaseException):
            self._background.spawn(self._end_after_all(worker, ref, decide, done))
        else:
            self._answer(worker, Settlement(ref, accepted=True))

    async def _end_after_all(self, worker: Worker, ref: LeaseRef, decide: Decide, done: bool) -> None:
        """The end could not be kept at once: either it never can, or it is kept as soon as there is room."""
        settlement = Settlement(ref, accepted=True)
        try:
            await self._ledger.insist(ref.job_id, decide)
        except (JobFinished, JobNotFound, LeaseStale) as error:
            reason = JobFinished.reason if isinstance(error, JobFinished) else LeaseStale.reason
            again = done and await self._settled_before(worker, ref)
            if not again:
                self._refused(reason)
            settlement = Settlement(ref, accepted=again, reason="" if again else reason)
        self._answer(worker, settlement)

    def _answer(self, worker: Worker, settlement: Settlement) -> None:
        worker.settle(settlement)
        self.eased.set()

    async def take_back(self, worker: Worker, job: Job) -> None:
        """A lease that never reached its worker ends as if it had not been."""
        self._leases.release(LeaseRef(job.job_id, job.token))
        now = self._clock.now()
        await self._unless_over(job.job_id, lambda found: transitions.hand_back(found, worker.worker_id, job.token, now))

    def lose(self, worker_id: str, refs: Sequence[LeaseRef]) -> None:
        """The worker has given these leases up without a word, or is gone."""
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
        """The worker sends a result again that was kept when it sent it first: its answer was lost on the way."""
        try:
            job, _ = await self._ledger.get(ref.job_id)
        except JobNotFound:
            return False
        return job.state is JobState.SUCCEEDED and (job.token, job.worker_id) == (ref.token, worker.worker_id)
