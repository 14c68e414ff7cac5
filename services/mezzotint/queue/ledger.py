"""The one way to change a job: decide, keep, tell."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from mezzotint.queue.engine import Engine
from mezzotint.queue.job import Job, Transition
from mezzotint.queue.lot import Lot, Tell, only, result_of
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.runtime import garbage
from mezzotint.runtime.errors import JobNotFound, MezzotintError, StorageFull

FULL_RETRY_SECONDS = 0.5
Decide = Callable[[Job], Transition]
Keep = Callable[[Transition], Awaitable[Any]]


class Ledger:
    """Makes changes of one job one after the other, each durable before anybody is told of it."""

    def __init__(self, engine: Engine, jobs: OpenJobs) -> None:
        self._engine = engine
        self.jobs = jobs
        """The jobs that are not final, and who is told of their changes."""
        self._waiting: set[asyncio.Task[None]] = set()

    async def recover(self, restorers: Sequence[Callable[[Sequence[Job]], None]] = ()) -> None:
        """Load every job that is not final, in the order of acceptance, and give all to each of `restorers`."""
        with garbage.paused():
            jobs = await self._engine.recover()
            for restore in (self.jobs.restore, *restorers):
                restore(jobs)

    async def change(self, job_id: str, decide: Decide) -> Job:
        """Change a job as `decide` says of its record. Raises what it raises, JobNotFound, StorageFull."""
        lot: Lot[tuple[Job, Any]] = Lot(1)
        self._in_turn(job_id, decide, self._engine.commit, lot.place(0))
        return (await only(lot))[0]

    def change_soon(self, job_id: str, decide: Decide, tell: Tell[tuple[Job, Any]]) -> None:
        """The same without a wait: `tell` is told what became of it."""
        self._in_turn(job_id, decide, self._engine.commit, tell)

    def start_all(self, job_ids: Sequence[str], decide: Decide) -> "asyncio.Future[list[tuple[Job, bytes] | MezzotintError]]":
        """Change jobs to RUNNING and get their payloads, each by itself; gives what became of each."""
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
        hot = self.jobs.get(job_id)
        job, result = (hot, b"") if hot else await self._engine.find(job_id)
        if account_id not in ("", job.account_id):
            raise JobNotFound(f"there is no job {job_id} in this account")
        return job, result

    def hot(self, job_id: str) -> Job | None:
        """A job that is not final, as it stands."""
        return self.jobs.get(job_id)

    def _in_turn(self, job_id: str, decide: Decide, keep: Keep, tell: Tell[tuple[Job, Any]]) -> None:
        """Change a job at once if it is in memory and nothing else changes it, as is usual; else when that is so."""
        job = self.jobs.get(job_id)
        if job is None or job_id in self.jobs.changing:
            waiting = asyncio.create_task(self._wait_turn(job_id, decide, keep, tell))
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)
        else:
            self._change(job, decide, keep, tell)

    async def _wait_turn(self, job_id: str, decide: Decide, keep: Keep, tell: Tell[tuple[Job, Any]]) -> None:
        while (other := self.jobs.changing.get(job_id)) is not None:
            await asyncio.wait([other])
        job = self.jobs.get(job_id)
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
        self.jobs.changing[job.job_id] = keeping
        keeping.add_done_callback(partial(self._changed, change, tell))

    def _changed(self, change: Transition, tell: Tell[tuple[Job, Any]], keeping: "asyncio.Future[Any]") -> None:
        del self.jobs.changing[change.job.job_id]
        value = result_of(keeping)
        if isinstance(value, BaseException):
            tell(value)
            return
        self.jobs.apply(change)
        tell((change.job, value))
