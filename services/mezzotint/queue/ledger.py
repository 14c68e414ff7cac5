"""Every job that is not final, in memory, and the one way to change it: decide, keep, tell."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from mezzotint.queue import transitions
from mezzotint.queue.capacity import Capacity
from mezzotint.queue.engine import Engine, Enqueued
from mezzotint.queue.job import Job, NewJob, Transition
from mezzotint.queue.tiers import Policy
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import FieldInvalid, JobNotFound, MezzotintError, StorageFull, TierUnknown

FULL_RETRY_SECONDS = 0.5
NOT_BEFORE_SECONDS_MAX = 30 * 86_400.0
Decide = Callable[[Job], Transition]


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
        self._changing: dict[str, asyncio.Task[Any]] = {}
        self.listeners: list[Callable[[Transition], None]] = []

    async def recover(self) -> list[Job]:
        """Load every job that is not final, in the order of acceptance."""
        jobs = await self._engine.recover()
        for job in jobs:
            self._jobs[job.job_id] = job
            self._capacity.add(job)
        return jobs

    async def enqueue(self, new: NewJob) -> Enqueued:
        """Accept a job. Raises TierUnknown, FieldInvalid, ServerOverloaded, RequestIdReused, StorageFull."""
        if new.tier not in self.tiers:
            names = ", ".join(self.tiers)
            raise TierUnknown(f"there is no tier {new.tier!r}; the tiers are {names}", metadata={"tiers": names})
        now = self._clock.now()
        if new.not_before > now + NOT_BEFORE_SECONDS_MAX:
            raise FieldInvalid.of("job.not_before", "must be at most 30 days from now; enqueue the job later")
        accepted = transitions.accept(new, self._new_id("job"), now, self._defers(new.tier, new.kind))
        refusal = self._capacity.refusal(new.account_id)
        self._capacity.add(accepted.job)
        task = asyncio.create_task(self._keep_new(accepted, new, refusal))
        self._changing[accepted.job.job_id] = task
        return await asyncio.shield(task)

    async def change(self, job_id: str, decide: Decide) -> Job:
        """Change a job as `decide` says of its record. Raises what it raises, JobNotFound, StorageFull."""
        job, _ = await self._in_turn(job_id, decide, self._engine.commit)
        return job

    async def start(self, job_id: str, decide: Decide) -> tuple[Job, bytes]:
        """Change a job to RUNNING and get its payload. Raises as `change` does."""
        return await self._in_turn(job_id, decide, self._engine.start)

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

    async def _keep_new(self, accepted: Transition, new: NewJob, refusal: MezzotintError | None) -> Enqueued:
        kept = None
        try:
            kept = await self._engine.enqueue(accepted, new, refusal)
        finally:
            del self._changing[accepted.job.job_id]
            if kept is None or kept.replayed:
                self._capacity.remove(accepted.job)
        if not kept.replayed:
            self._jobs[kept.job.job_id] = kept.job
            self._tell(Transition(None, kept.job, accepted.event))
        return Enqueued(self._jobs.get(kept.job.job_id, kept.job), kept.replayed)

    async def _in_turn(self, job_id: str, decide: Decide, keep: Callable[[Transition], Awaitable[Any]]) -> tuple[Job, Any]:
        while (other := self._changing.get(job_id)) is not None:
            await asyncio.wait([other])
        job = self._jobs.get(job_id)
        if job is None:
            job, _ = await self._engine.find(job_id)
            assert job.state.final, f"{job_id} is not final and yet not in memory"
        task = asyncio.create_task(self._keep(decide(job), keep))
        self._changing[job_id] = task
        return await asyncio.shield(task)

    async def _keep(self, change: Transition, keep: Callable[[Transition], Awaitable[Any]]) -> tuple[Job, Any]:
        job = change.job
        try:
            value = await keep(change)
        finally:
            del self._changing[job.job_id]
        if change.before:
            self._capacity.remove(change.before)
        self._capacity.add(job)
        if job.state.final:
            del self._jobs[job.job_id]
        else:
            self._jobs[job.job_id] = job
        self._tell(change)
        return job, value

    def _tell(self, change: Transition) -> None:
        for listener in self.listeners:
            listener(change)
