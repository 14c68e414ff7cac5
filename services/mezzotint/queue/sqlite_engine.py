"""Jobs in one SQLite file: write-ahead log, fsync before every answer, one thread that writes and one that reads."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from mezzotint.queue import sqlite_changes, sqlite_search, sqlite_store
from mezzotint.queue.engine import Enqueued, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.sqlite_reader import SqliteReader
from mezzotint.queue.sqlite_schema import FINISHED_JOBS, HOT_JOBS, event_of, job_of
from mezzotint.queue.sqlite_writer import Committed, SqliteWriter
from mezzotint.runtime.errors import JobNotFound, MezzotintError, StorageFull

STORAGE_RETRY_SECONDS = 30.0


class SqliteEngine:
    """An Engine. Made by `open`; must be closed. `failed` is done once the store has failed, and the process must stop then."""

    def __init__(self, store: sqlite_store.SqliteStore, committed: Committed) -> None:
        self._store = store
        self.writer = SqliteWriter(store.writing, asyncio.get_running_loop(), committed)
        self.reader = SqliteReader(store.reading, self.writer.fail)
        self.writer.start()

    @classmethod
    async def open(
        cls, folder: Path, bytes_max: int = 0, committed: Committed = lambda seconds, operations, log_bytes: None
    ) -> "SqliteEngine":
        """The engine on the files in `folder`, made on first use; they take `bytes_max` at most, 0: what the disk holds.

        `committed` is told of every commit, on the writing thread. Raises StoreUnavailable when another server has the files
        open or they are damaged.
        """
        return cls(await asyncio.to_thread(sqlite_store.open_store, folder, bytes_max), committed)

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Done, with the error, once the store has failed."""
        return self.writer.failed

    async def close(self) -> None:
        """Finish what was begun and let another server open the files."""
        await self.writer.stop()
        await self.reader.stop()
        clean = not (self.failed.done() and self.failed.exception())
        await asyncio.to_thread(self._store.close, clean=clean)

    async def recover(self) -> list[Job]:
        """Every job that is not final."""
        return await self.reader.run(lambda reading: [job_of(row) for row in reading.execute(f"{HOT_JOBS} ORDER BY number")])

    async def enqueue(self, accepted: Transition, new: NewJob, refusal: MezzotintError | None = None) -> Enqueued:
        """Keep a new job or find the earlier one."""

        def work(writing: apsw.Connection) -> Enqueued:
            if earlier := sqlite_changes.find_request(writing, new):
                return Enqueued(earlier, replayed=True)
            if refusal:
                raise refusal
            if not self._store.has_room():
                raise StorageFull("the queue's store is full; try again later", retry_after=STORAGE_RETRY_SECONDS)
            if new.redrives:
                sqlite_changes.require_dead(writing, new.redrives)
            job = replace(accepted.job, number=self._store.next_number())
            sqlite_changes.insert(writing, job, new, accepted.event)
            if new.redrives:
                sqlite_changes.mark_redriven(writing, new.redrives, job.job_id)
            return Enqueued(job, replayed=False)

        return await self.writer.run(work)

    async def start(self, change: Transition) -> bytes:
        """Make a change to RUNNING and give the payload."""

        def work(writing: apsw.Connection) -> bytes:
            sqlite_changes.move(writing, change)
            payload: Any = writing.execute("SELECT payload FROM body WHERE number = ?", (change.job.number,)).get
            return bytes(payload)

        return await self.writer.run(work)

    async def commit(self, change: Transition) -> None:
        """Make any other change."""
        apply = sqlite_changes.finish if change.job.state.final else sqlite_changes.move
        await self.writer.run(lambda writing: apply(writing, change))

    async def find(self, job_id: str) -> tuple[Job, bytes]:
        """A job and its result."""

        def work(reading: apsw.Connection) -> tuple[Job, bytes]:
            for select in (FINISHED_JOBS, HOT_JOBS):
                for row in reading.execute(f"{select} WHERE r.job_id = ?", (job_id,)):
                    return job_of(row), sqlite_search.result_of(reading, row[0])
            raise JobNotFound(f"there is no job {job_id}")

        return await self.reader.run(work)

    async def search(self, query: JobQuery) -> list[Job]:
        """Jobs, newest first."""
        return await self.reader.run(lambda reading: sqlite_search.select(reading, query))

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        """The events of a job after a sequence."""

        def work(reading: apsw.Connection) -> list[JobEvent]:
            select = (
                "SELECT number, e.sequence, at, e.state, e.attempt, e.worker_id, failure_class, failure_reason, failure_message"
            )
            source = "FROM registry JOIN event e USING (number) WHERE job_id = ? AND e.sequence > ? ORDER BY e.sequence"
            rows = list(reading.execute(f"{select} {source}", (job_id, after)))
            ended = rows and rows[-1][3] == JobState.SUCCEEDED
            result = sqlite_search.result_of(reading, rows[-1][0]) if ended else b""
            return [event_of(row[1:], result) for row in rows]

        return await self.reader.run(work)

    async def forget(self, finished_before: float, limit: int) -> int:
        """Drop jobs that were final before a moment."""
        return await self.writer.run(lambda writing: sqlite_changes.forget(writing, finished_before, limit))
