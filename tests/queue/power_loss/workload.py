"""Random work on an engine by several callers at once, written down as it is asked for and as it is acknowledged."""

import asyncio
import random
from collections import Counter

from msgspec.structs import replace

from mezzotint.queue import redrive, transitions
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, NewJob, Transition
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.runtime.errors import JobFinished, JobNotFound, StorageFull
from tests.queue.power_loss.book import Book, Entry
from tests.queue.power_loss.lost import Lost
from tests.queue.records import NOW, admit, new

CALLERS = 6
SIZES = (0, 10, 300, 300, 300, 5_000, 40_000)
LABELS = ((), (), (("shop", "1"),), (("day", "mon"), ("shop", "1")), (("day", ""),))
# Seconds from now; those that have passed already mean at once.
NOT_BEFORE = (-50, 5, 300)
# What is counted in `done`, each acknowledged and looked for after a cut.
FACTS = {"labels", "not_before", "redrive", "redrive refused", "pause", "resume"}
TIERS = ("free", "pro")


class Workload:
    """Callers of one engine, over all its lives. `done` counts FACTS acknowledged, `full` the refusals for want of room."""

    def __init__(self, random_: random.Random) -> None:
        self.book = Book()
        self.done: Counter[str] = Counter()
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
            except JobNotFound:
                continue  # it was forgotten while it was to be redriven, as the book knows

    async def _one(self) -> None:
        idle = [entry for entry in self.book.entries.values() if entry.job and not entry.change]
        unfinished = [entry for entry in idle if entry.job and not entry.job.state.final]
        choice = self._random.random()
        if choice < 0.3 or not unfinished:
            await self._enqueue()
        elif choice < 0.75:
            await self._change(self._random.choice(unfinished))
        elif choice < 0.83:
            await self._redrive([entry for entry in idle if entry.job and entry.job.state is JobState.FAILED])
        elif choice < 0.88:
            await self._switch(self._random.choice(TIERS))
        elif choice < 0.90:
            self.book.paused.read(self.book.paused.changed.copy(), await SqliteOperatorStore(self._engine).paused())
        elif choice < 0.96:
            await self._read(self._random.choice(list(self.book.entries)))
        else:
            await self._forget()

    async def _enqueue(self) -> None:
        now, later = self._tick(), self._random.random() < 0.3
        request = new(
            f"r{self._names + 1}",
            account_id=f"acct_{self._random.randrange(3)}",
            payload=self._bytes(),
            labels=self._random.choice(LABELS),
            not_before=now + self._random.choice(NOT_BEFORE) if later else 0.0,
        )
        await self._accept(request, "a peak" if self._random.random() < 0.1 else "")
        self.done["labels"] += bool(request.labels)
        self.done["not_before"] += request.not_before > now

    async def _redrive(self, failed: list[Entry]) -> None:
        """Have a failed job done again; one that was redriven before must be refused."""
        dead = [entry.job for entry in failed if entry.job and entry.job.job_id not in self.book.redriving]
        if not dead:
            return
        fresh = [job for job in dead if not job.redriven_by]
        job = self._random.choice(fresh if fresh and self._random.random() < 0.8 else dead)
        request = redrive.again(job, self._bytes(), self._tick() + self._random.choice((0, 60)))
        if not job.redriven_by:
            await self._accept(request)
            self.done["redrive"] += 1
            return
        try:
            await self._accept(replace(request, request_id=f"{request.request_id}, again {self._names}"))
        except JobFinished:
            self.done["redrive refused"] += 1

    async def _accept(self, request: NewJob, deferral: str = "") -> None:
        self._names += 1
        accepted = transitions.accept(request, f"job_{self._names}", self._tick(), deferral)
        entry = self.book.note(accepted, request)
        try:
            kept = await admit(self._engine, accepted, request)
        except (StorageFull, JobFinished, JobNotFound) as refusal:
            self.book.refused(entry, refusal)
            raise
        if kept.replayed or replace(kept.job, number=0) != accepted.job:
            raise Lost(f"a new job was answered by {kept}")
        self.book.accepted(entry, kept.job)

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
        if job.state is JobState.DEFERRED:
            return transitions.admit(job, now) if choice < 0.9 else transitions.expire(job, now)
        if job.state is JobState.QUEUED:
            return transitions.start(job, f"w{choice}", now) if choice < 0.9 or job.attempt else transitions.expire(job, now)
        if choice < 0.2:
            return transitions.hand_back(job, job.worker_id, job.token, now)
        if choice < 0.55:
            failure_class = self._random.choice([*FailureClass, FailureClass.PERMANENT])
            return transitions.fail(job, job.worker_id, job.token, Failure(failure_class, "JOB_FAILED", "it broke"), now, 1.5)
        return transitions.succeed(job, job.worker_id, job.token, self._bytes(), now)

    async def _switch(self, tier: str) -> None:
        """Pause a tier, or let it go on."""
        if tier in self.book.paused.changing:
            return
        store, pause = SqliteOperatorStore(self._engine), self._random.random() < 0.5
        self.book.paused.note(tier, paused=pause)
        try:
            await (store.pause(tier) if pause else store.resume(tier))
        except StorageFull:
            self.book.paused.drop(tier)
            raise
        self.book.paused.settle(tier)
        self.done["pause" if pause else "resume"] += 1

    async def _read(self, job_id: str) -> None:
        entry = self.book.entries[job_id]
        before = entry.job
        try:
            job, result = await self._engine.find(job_id)
        except JobNotFound:
            if before and self.book.entries.get(job_id) is entry and job_id not in self.book.forgetting:
                raise Lost(f"{job_id} is not found") from None
        else:
            self.book.read(entry, before, job, result)

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
