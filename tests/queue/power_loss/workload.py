"""Random work on an engine by several callers at once, written down as it is asked for and as it is acknowledged."""

import asyncio
import random

from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, Transition
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.errors import JobNotFound, StorageFull
from tests.queue.power_loss.book import Book, Entry, Lost
from tests.queue.records import NOW, admit, new

CALLERS = 6
SIZES = (0, 10, 300, 300, 300, 5_000, 40_000)


class Workload:
    """Callers of one engine, over all its lives. `full` counts the refusals for want of room."""

    def __init__(self, random_: random.Random) -> None:
        self.book = Book()
        self.full = 0
        self._random = random_
        self._now = NOW
        self._names = 0
        self._old = NOW
        self._engine: SqliteEngine
        self._left = 0

    async def run(self, engine: SqliteEngine, operations: int) -> None:
        """So many operations, or fewer when the store fails."""
        self._engine, self._left = engine, operations
        self._old = self._now
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._call())

    async def _call(self) -> None:
        while self._left > 0:
            self._left -= 1
            try:
                await self._one()
            except StoreUnavailable:
                return
            except StorageFull:
                self.full += 1

    async def _one(self) -> None:
        idle = [entry for entry in self.book.entries.values() if entry.job and not entry.change]
        unfinished = [entry for entry in idle if entry.job and not entry.job.state.final]
        choice = self._random.random()
        if choice < 0.3 or not unfinished:
            await self._enqueue()
        elif choice < 0.85:
            await self._change(self._random.choice(unfinished))
        elif choice < 0.95:
            await self._read(self._random.choice(list(self.book.entries)))
        else:
            await self._forget()

    async def _enqueue(self) -> None:
        self._names += 1
        request = new(f"r{self._names}", account_id=f"acct_{self._random.randrange(3)}", payload=self._bytes())
        accepted = transitions.accept(request, f"job_{self._names}", self._tick())
        entry = self.book.note(accepted, request)
        try:
            kept = await admit(self._engine, accepted, request)
        except StorageFull:
            del self.book.entries[accepted.job.job_id]
            raise
        if kept.replayed or replace(kept.job, number=0) != accepted.job:
            raise Lost(f"a new job was answered by {kept}")
        entry.settle(kept.job)

    async def _change(self, entry: Entry) -> None:
        assert entry.job
        change = self._next(entry.job)
        self.book.note(change)
        try:
            if change.job.state is not JobState.RUNNING:
                await self._engine.commit(change)
            elif await self._engine.start(change) != entry.new.payload:
                raise Lost(f"{change.job.job_id} started with another payload")
        except StorageFull:
            entry.drop()
            raise
        entry.settle(change.job)

    def _next(self, job: Job) -> Transition:
        """Any change that may come next."""
        now, choice = self._tick(), self._random.random()
        if choice < 0.1:
            return transitions.cancel(job, "enough", now)
        if job.state is JobState.QUEUED:
            return transitions.start(job, f"w{choice}", now) if choice < 0.9 or job.attempt else transitions.expire(job, now)
        if choice < 0.2:
            return transitions.hand_back(job, job.worker_id, job.token, now)
        if choice < 0.4:
            failure_class = self._random.choice(list(FailureClass))
            return transitions.fail(job, job.worker_id, job.token, Failure(failure_class, "JOB_FAILED", "it broke"), now, 1.5)
        return transitions.succeed(job, job.worker_id, job.token, self._bytes(), now)

    async def _read(self, job_id: str) -> None:
        entry = self.book.entries[job_id]
        before = entry.job
        try:
            job, result = await self._engine.find(job_id)
        except JobNotFound:
            if before and self.book.entries.get(job_id) is entry and job_id not in self.book.forgetting:
                raise Lost(f"{job_id} is not found") from None
        else:
            entry.read(before, job, result)

    async def _forget(self) -> None:
        if self.book.forgetting:
            return
        old = self.book.finished_before(self._old)[: self._random.randrange(1, 6)]
        self.book.forgetting = set(old)
        self.book.touched.update(old)
        try:
            if await self._engine.forget(self._old, len(old) or 1) != len(old):
                raise Lost(f"not exactly {old} were dropped")
        except StorageFull:
            self.book.forgetting = set()
            raise
        for job_id in old:
            del self.book.entries[job_id]
        self.book.forgetting = set()

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.choice(SIZES))

    def _tick(self) -> float:
        self._now += 1.0
        return self._now
