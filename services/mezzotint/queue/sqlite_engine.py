"""Jobs in one SQLite file: write-ahead log, fsync before every answer, one thread that writes and one that reads."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import apsw

from mezzotint.queue import sqlite_changes, sqlite_retention, sqlite_search, sqlite_store
from mezzotint.queue.engine import Candidate, Enqueued, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, Transition
from mezzotint.queue.sqlite_admission import Admission
from mezzotint.queue.sqlite_reader import SqliteReader
from mezzotint.queue.sqlite_schema import FINISHED_JOBS, HOT_JOBS, event_of, job_of
from mezzotint.queue.sqlite_writer import Committed, SqliteWriter
from mezzotint.runtime.errors import JobNotFound, MezzotintError


class SqliteEngine:
    """An Engine. Made by `open`; must be closed. `failed` is done once the store has failed, and the process must stop then."""

    def __init__(self, store: sqlite_store.SqliteStore, committed: Committed) -> None:
        self._store = store
        self._admission = Admission(store)
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

    def enqueue(self, candidates: Sequence[Candidate]) -> "asyncio.Future[Sequence[Enqueued | MezzotintError]]":
        """Keep new jobs or find the earlier ones."""
        return self.writer.submit_all(self._admission.admit, self._admission.admit_at_once, candidates)

    def start(self, change: Transition) -> "asyncio.Future[bytes]":
        """Make a change to RUNNING and give the payload."""
        return self.writer.submit(start, change)

    def commit(self, change: Transition) -> "asyncio.Future[None]":
        """Make any other change."""
        return self.writer.submit(finish if change.job.state.final else move, change)

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
        return await sqlite_search.search(self.reader, query)

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
        return await self.writer.run(lambda writing: sqlite_retention.forget(writing, finished_before, limit))


def start(writing: apsw.Connection, changes: Sequence[Transition]) -> list[bytes]:
    """A group of the writer: jobs begin."""
    sqlite_changes.move(writing, changes)
    return sqlite_changes.payloads(writing, changes)


def move(writing: apsw.Connection, changes: Sequence[Transition]) -> list[None]:
    """A group of the writer: jobs go on."""
    sqlite_changes.move(writing, changes)
    return [None] * len(changes)


def finish(writing: apsw.Connection, changes: Sequence[Transition]) -> list[None]:
    """A group of the writer: jobs end."""
    sqlite_changes.finish(writing, changes)
    return [None] * len(changes)
