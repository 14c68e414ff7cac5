"""Hands ready jobs to workers with credits."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from mezzotint.queue import transitions
from mezzotint.queue.assignment import by_credits, by_urgency
from mezzotint.queue.background import Background
from mezzotint.queue.job import Job, JobState, Transition
from mezzotint.queue.kinds import Moment, Place
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.ledger import FULL_RETRY_SECONDS, Ledger
from mezzotint.queue.roster import Roster
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.worker import Leased, Worker
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import JobFinished, JobNotFound, LeaseStale, MezzotintError, StorageFull


class Dispatcher:
    """Brings waiting jobs and free workers together as soon as there are both. On the event loop only."""

    def __init__(
        self,
        ledger: Ledger,
        room: WaitingRoom,
        leases: LeaseTable,
        roster: Roster,
        endings: LeaseEndings,
        clock: Clock,
        background: Background,
    ) -> None:
        self._ledger = ledger
        self._room = room
        self._leases = leases
        self._roster = roster
        self._endings = endings
        self._clock = clock
        self._background = background
        self._asked = False
        self._paused_until = 0.0
        self.draining = False

    def restore(self, jobs: Iterable[Job]) -> None:
        """After a restart: jobs wait, or workers held them."""
        moment = self._moment()
        for job in jobs:
            if job.state is JobState.RUNNING:
                self._room.hold(job)
            else:
                self._room.enter(job, moment)

    def wake(self) -> None:
        """There may be something to hand out: do so once everything that happens at this moment has happened."""
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def place(self, job: Job) -> Place:
        """Where a waiting job stands; no time is promised while no worker takes its kind, but that of its not-before time."""
        return self._room.place(job, self._moment(), self._roster.kinds())

    def tick(self) -> None:
        """Do what has become due: deferred jobs, retries, expiries, and what a full disk held up."""
        moment = self._moment()
        if moment.at >= self._paused_until:
            for job in self._room.admit(moment, self._roster.idle()):
                self._background.spawn(self._admit(job))
        for job_id in self._room.expired(moment.at):
            self._background.spawn(self._expire(job_id))
        self.wake()

    def _dispatch(self) -> None:
        self._asked = False
        moment = self._moment()
        if self.draining or moment.at < self._paused_until:
            return
        found = [
            (urgent, assign(self._room, self._roster, self._leases, moment))
            for urgent, assign in ((False, by_credits), (True, by_urgency))
        ]
        self._room.observe(moment.at, self._roster.kinds())
        for urgent, assigned in found:
            for worker, jobs in assigned.items():
                self._background.spawn(self._start_all(worker, jobs, urgent=urgent))

    async def _start_all(self, worker: Worker, jobs: Sequence[Job], *, urgent: bool) -> None:
        decide = partial(transitions.start, worker_id=worker.worker_id, now=self._clock.now())
        started = await self._ledger.start_all([job.job_id for job in jobs], decide)
        worker.starting -= len(jobs)
        leased = list[tuple[Job, bytes]]()
        for job, start in zip(jobs, started, strict=True):
            if isinstance(start, MezzotintError):
                self._miss(job, start)
            else:
                leased.append(start)
        if worker.closed:
            for job, _ in leased:
                self._background.spawn(self._endings.take_back(worker, job))
            return
        # One that was cancelled while the others were being started does not go out any more.
        live = [
            (job, payload) for job, payload in leased if self._leases.holds(LeaseRef(job.job_id, job.token), worker.worker_id)
        ]
        unused = len(jobs) - len(live)
        worker.credits += 0 if urgent else unused
        worker.urgent += unused if urgent else 0
        if live:
            worker.send(Leased(live, urgent))
        if worker.credits or worker.urgent:
            self.wake()

    def _miss(self, job: Job, error: MezzotintError) -> None:
        """A picked job could not be leased: it was cancelled meanwhile, or there is no room on the disk."""
        self._room.release(job, 0, self._clock.monotonic())
        if isinstance(error, StorageFull):
            self._room.enter(job, self._moment(), again=True)
            self._paused_until = self._clock.monotonic() + FULL_RETRY_SECONDS

    async def _admit(self, job: Job) -> None:
        """A deferred job is to be queued; it stays deferred while there is no room on the disk."""
        try:
            await self._ledger.change(job.job_id, lambda found: transitions.admit(found, self._clock.now()))
        except (JobFinished, JobNotFound, LeaseStale):
            return
        except StorageFull:
            if (found := self._ledger.hot(job.job_id)) and found.state is JobState.DEFERRED:
                self._room.enter(found, self._moment(), again=True)
            self._paused_until = self._clock.monotonic() + FULL_RETRY_SECONDS

    async def _expire(self, job_id: str) -> None:
        try:
            await self._ledger.insist(job_id, lambda job: transitions.expire(job, self._clock.now()))
        except (JobFinished, JobNotFound, LeaseStale):
            return

    def observe(self, changes: Iterable[Transition]) -> None:
        """Keep the waiting room true to what was kept."""
        moment = self._moment()
        for change in changes:
            before, job = change.before, change.job
            if before and before.state is JobState.RUNNING:
                self._room.release(before, change.cost_ms, moment.at, for_good=job.state.final)
            elif before and (job.state.final or before.state is JobState.DEFERRED):
                self._room.leave(before, for_good=job.state.final)
            if job.state <= JobState.DEFERRED:
                self._room.enter(job, moment, again=before is not None)
                self.wake()

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())
