"""Every job that is not final, in memory, and the one way to change it: decide, keep, tell."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

from mezzotint.queue import transitions
from mezzotint.queue.capacity import Capacity
from mezzotint.queue.engine import Engine, Enqueued
from mezzotint.queue.job import Job, NewJob, Transition
from mezzotint.queue.lot import Lot, Tell, only
from mezzotint.queue.tiers import Policy
from mezzotint.runtime import garbage
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import FieldInvalid, JobNotFound, MezzotintError, StorageFull, TierUnknown

FULL_RETRY_SECONDS = 0.5
NOT_BEFORE_SECONDS_MAX = 30 * 86_400.0
Value = TypeVar("Value")
Decide = Callable[[Job], Transition]
Keep = Callable[[Transition], Awaitable[Any]]


class Ledger:
    """Makes changes of one job one after the other, each durable before anybody is told of it.

    `listeners` are told of every change, in the order of a job's changes, on the event loop, after it is kept. `defers` says
    why a new job of a tier and kind is deferred, "" when it is not.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        new_id: NewId,
        tiers: Collection[str],
        capacity: Capacity,
        defers: Callable[[str, str], str] = lambda tier, kind: "",
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._new_id = new_id
        self.tiers = tiers
        """The names of the tiers that jobs are accepted in."""
        self._defers = defers
        self._capacity = capacity
        self._jobs: dict[str, Job] = {}
        # What is being kept, by job. Nothing cancels it: a change that has begun comes to its end, whoever waits for it.
        self._changing: dict[str, asyncio.Future[Any]] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self.listeners: list[Callable[[Transition], None]] = []

    async def recover(self, restorers: Sequence[Callable[[Sequence[Job]], None]] = ()) -> None:
        """Load every job that is not final, in the order of acceptance, and give all to each of `restorers`."""
        with garbage.paused():
            jobs = await self._engine.recover()
            self._jobs |= {job.job_id: job for job in jobs}
            for job in jobs:
                self._capacity.add(job)
            for restore in restorers:
                restore(jobs)

    async def enqueue(self, new: NewJob) -> Enqueued:
        """Accept a job. Raises TierUnknown, FieldInvalid, ServerOverloaded, RequestIdReused, StorageFull."""
        lot: Lot[Enqueued] = Lot(1)
        self._accept(new, lot.place(0))
        return await only(lot)

    def enqueue_all(self, news: Sequence[NewJob]) -> "asyncio.Future[list[Enqueued | MezzotintError]]":
        """Accept jobs, each by itself; gives what became of each. They are accepted even if nobody waits for that any more."""
        lot: Lot[Enqueued] = Lot(len(news))
        for index, new in enumerate(news):
            self._accept(new, lot.place(index))
        return lot.outcomes

    async def change(self, job_id: str, decide: Decide) -> Job:
        """Change a job as `decide` says of its record. Raises what it raises, JobNotFound, StorageFull."""
        lot: Lot[tuple[Job, Any]] = Lot(1)
        self._in_turn(job_id, decide, self._engine.commit, lot.place(0))
        return (await only(lot))[0]

    def change_soon(self, job_id: str, decide: Decide, tell: Tell[tuple[Job, Any]]) -> None:
        """The same without a wait: `tell` is told what became of it."""
        self._in_turn(job_id, decide, self._engine.commit, tell)

    async def start(self, job_id: str, decide: Decide) -> tuple[Job, bytes]:
        """Change a job to RUNNING and get its payload. Raises as `change` does."""
        lot: Lot[tuple[Job, bytes]] = Lot(1)
        self._in_turn(job_id, decide, self._engine.start, lot.place(0))
        return await only(lot)

    def start_all(self, job_ids: Sequence[str], decide: Decide) -> "asyncio.Future[list[tuple[Job, bytes] | MezzotintError]]":
        """Change jobs to RUNNING, each by itself; gives what became of each."""
        lot: Lot[tuple[Job, bytes]] = Lot(len(job_ids))
        for index, job_id in enumerate(job_ids):
            self._in_turn(job_id, decide, self._engine.start, lot.place(index))
        return lot.outcomes

    async def insist(self, job_id: str, decide: Decide) -> Job:
        """Change a job, and try again for as long as the store is full: the change has happened already and must be kept."""
        while True:
            try:
                return await self.change(job_id, decide)
            except StorageFull:
                await asyncio.sleep(FULL_RETRY_SECONDS)

    async def get(self, job_id: str, account_id: str = "") -> tuple[Job, bytes]:
        """A job and its result. Raises JobNotFound, also when it is not the account's ("": anybody's)."""
        hot = self._jobs.get(job_id)
        job, result = (hot, b"") if hot else await self._engine.find(job_id)
        if account_id not in ("", job.account_id):
            raise JobNotFound(f"there is no job {job_id} in this account")
        return job, result

    def follow(self, policy: Policy) -> None:
        """Accept jobs in the tiers of this policy from now on."""
        self.tiers = policy.names()

    def hot(self, job_id: str) -> Job | None:
        """A job that is not final, as it stands."""
        return self._jobs.get(job_id)

    def _accept(self, new: NewJob, tell: Tell[Enqueued]) -> None:
        now = self._clock.now()
        if refusal := self._refusal(new, now):
            tell(refusal)
            return
        accepted = transitions.accept(new, self._new_id("job"), now, self._defers(new.tier, new.kind))
        full = self._capacity.refusal(new.account_id)
        self._capacity.add(accepted.job)
        keeping = asyncio.ensure_future(self._engine.enqueue(accepted, new, full))
        self._changing[accepted.job.job_id] = keeping
        keeping.add_done_callback(partial(self._accepted, accepted, tell))

    def _refusal(self, new: NewJob, now: float) -> MezzotintError | None:
        """Why a job cannot be accepted, whatever is kept."""
        if new.tier not in self.tiers:
            names = ", ".join(self.tiers)
            return TierUnknown(f"there is no tier {new.tier!r}; the tiers are {names}", metadata={"tiers": names})
        if new.not_before > now + NOT_BEFORE_SECONDS_MAX:
            return FieldInvalid.of("job.not_before", "must be at most 30 days from now; enqueue the job later")
        return None

    def _accepted(self, accepted: Transition, tell: Tell[Enqueued], keeping: "asyncio.Future[Enqueued]") -> None:
        del self._changing[accepted.job.job_id]
        kept = result_of(keeping)
        if isinstance(kept, BaseException) or kept.replayed:
            self._capacity.remove(accepted.job)
        else:
            self._jobs[kept.job.job_id] = kept.job
            self._tell(Transition(None, kept.job, accepted.event))
        if isinstance(kept, Enqueued) and kept.replayed:
            kept = Enqueued(self._jobs.get(kept.job.job_id, kept.job), replayed=True)
        tell(kept)

    def _in_turn(self, job_id: str, decide: Decide, keep: Keep, tell: Tell[tuple[Job, Any]]) -> None:
        """Change a job at once if it is in memory and nothing else changes it, as is usual; else when that is so."""
        job = self._jobs.get(job_id)
        if job is None or job_id in self._changing:
            waiting = asyncio.create_task(self._wait_turn(job_id, decide, keep, tell))
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)
        else:
            self._change(job, decide, keep, tell)

    async def _wait_turn(self, job_id: str, decide: Decide, keep: Keep, tell: Tell[tuple[Job, Any]]) -> None:
        while (other := self._changing.get(job_id)) is not None:
            await asyncio.wait([other])
        job = self._jobs.get(job_id)
        if job is None:
            try:
                job, _ = await self._engine.find(job_id)
            except Exception as error:  # noqa: BLE001  # whoever asked for the change is told
                tell(error)
                return
            assert job.state.final, f"{job_id} is not final and yet not in memory"
        self._change(job, decide, keep, tell)

    def _change(self, job: Job, decide: Decide, keep: Keep, tell: Tell[tuple[Job, Any]]) -> None:
        try:
            change = decide(job)
        except Exception as error:  # noqa: BLE001  # likewise
            tell(error)
            return
        keeping = asyncio.ensure_future(keep(change))
        self._changing[job.job_id] = keeping
        keeping.add_done_callback(partial(self._changed, change, tell))

    def _changed(self, change: Transition, tell: Tell[tuple[Job, Any]], keeping: "asyncio.Future[Any]") -> None:
        job = change.job
        del self._changing[job.job_id]
        value = result_of(keeping)
        if isinstance(value, BaseException):
            tell(value)
            return
        if change.before:
            self._capacity.remove(change.before)
        self._capacity.add(job)
        if job.state.final:
            del self._jobs[job.job_id]
        else:
            self._jobs[job.job_id] = job
        self._tell(change)
        tell((job, value))

    def _tell(self, change: Transition) -> None:
        for listener in self.listeners:
            listener(change)


def result_of(kept: "asyncio.Future[Value]") -> Value | BaseException:
    """What a future that is done gives, or what it failed with."""
    if kept.cancelled():
        return asyncio.CancelledError()
    return kept.exception() or kept.result()
