"""One thread that writes: it takes operations as they come, commits many at once, and answers after fsync.

Commits at once when nothing more waits, else after BATCH_OPERATIONS_MAX operations or BATCH_SECONDS_MAX. Checkpoints run here
too, between batches. A full disk refuses the operations that do not fit; any other error stops the writer for good.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.runtime import logging
from mezzotint.runtime.errors import MezzotintError, StorageFull

log = logging.get(__name__)
Result = TypeVar("Result")
Outcome = tuple["Operation", Any, BaseException | None]
# Told of a commit: the seconds that COMMIT took, the operations in it, and the bytes of the log that are not checkpointed.
Committed = Callable[[float, int, int], None]
BATCH_OPERATIONS_MAX = 256
BATCH_SECONDS_MAX = 0.002
# The write-ahead log is copied into the database when it is longer than this, and emptied when nothing was written for a while.
LOG_PAGES_MAX = 1024
LOG_FRAME_BYTES = 4096 + 24
IDLE_SECONDS = 1.0
RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Operation:
    """Work inside the next transaction, and where its outcome goes. It checks before it writes: raising must undo nothing."""

    work: Callable[[apsw.Connection], Any]
    outcome: "asyncio.Future[Any]"


class SqliteWriter:
    """Runs operations on `connection`, which no other thread may touch. `failed` gets the error that stopped it."""

    def __init__(self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop, committed: Committed) -> None:
        self._connection = connection
        self._tell = committed
        self._loop = loop
        self._waiting: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._stopping = False
        self._log_pages = 0
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self.failed: asyncio.Future[None] = loop.create_future()
        self.committed = 0
        connection.set_wal_hook(self._note_log)

    def start(self) -> None:
        """Take operations."""
        self._thread.start()

    async def run(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """What `work` gives, once it is on disk. Raises what it raises, StorageFull, StoreUnavailable."""
        if self._stopping:
            raise StoreUnavailable("the store does not take changes any more; the server is stopping")
        outcome: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.put(Operation(work, outcome))
        return await outcome

    async def stop(self) -> None:
        """Do what waits and end the thread."""
        self._stopping = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(batch)
        except BaseException as error:  # noqa: BLE001  # whatever it was, nobody may be told that a change is on disk
            self._loop.call_soon_threadsafe(self.fail, error)

    def _next_batch(self) -> list[Operation] | None:
        """Wait for work; None when the writer is to stop. The first of the batch alone: the rest is taken while it is done."""
        while True:
            try:
                first = self._waiting.get(timeout=IDLE_SECONDS if self._log_pages else None)
            except queue.Empty:
                self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._log_pages = 0
                continue
            return None if first is None else [first]

    def _commit(self, batch: list[Operation]) -> None:
        outcomes: list[Outcome] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._fill(batch, outcomes)
            began = time.perf_counter()
            self._connection.execute("COMMIT")
            seconds = time.perf_counter() - began
        except apsw.FullError:
            roll_back(self._connection)
            outcomes, seconds = [outcome for operation in batch for outcome in self._alone(operation)], 0.0
        except BaseException:
            self._loop.call_soon_threadsafe(refuse, batch)
            raise
        self.committed += len(outcomes)
        self._loop.call_soon_threadsafe(settle, outcomes)
        self._tell(seconds, len(outcomes), self._log_pages * LOG_FRAME_BYTES)
        if self._log_pages > LOG_PAGES_MAX:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _fill(self, batch: list[Operation], outcomes: list[Outcome]) -> None:
        """Do the first operation and those that come while there is room and time for them."""
        end = time.monotonic() + BATCH_SECONDS_MAX
        outcomes.append(attempt(self._connection, batch[0]))
        while len(batch) < BATCH_OPERATIONS_MAX and time.monotonic() < end:
            try:
                operation = self._waiting.get_nowait()
            except queue.Empty:
                return
            if operation is None:
                self._waiting.put(None)
                return
            batch.append(operation)
            outcomes.append(attempt(self._connection, operation))

    def _alone(self, operation: Operation) -> list[Outcome]:
        """One operation in a transaction of its own, after a batch did not fit the disk."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcome = attempt(self._connection, operation)
            self._connection.execute("COMMIT")
        except apsw.FullError:
            roll_back(self._connection)
            return [
                (operation, None, StorageFull("the queue's disk or store is full; try again later", retry_after=RETRY_SECONDS))
            ]
        return [outcome]

    def _checkpoint(self, mode: int) -> None:
        try:
            self._connection.wal_checkpoint(mode=mode)
        except (apsw.FullError, apsw.BusyError, apsw.LockedError) as error:
            log.warning("checkpoint put off", error=str(error))

    def _note_log(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def fail(self, error: BaseException) -> StoreUnavailable:
        """The store has failed: nothing more is taken, what waits is refused. Gives the error to raise. On the event loop."""
        failure = StoreUnavailable(f"the store failed: {error!r}; restart the queue, it recovers by itself")
        self._stopping = True
        if not self.failed.done():
            log.error("the store failed; stopping", exc_info=error)
            self.failed.set_exception(failure)
        left = [operation for _ in range(self._waiting.qsize()) if (operation := self._waiting.get())]
        refuse(left)
        return failure


def roll_back(connection: apsw.Connection) -> None:
    """Undo the transaction, unless SQLite has done so."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def attempt(connection: apsw.Connection, operation: Operation) -> Outcome:
    """Do one operation; an expected failure is an outcome, any other ends the transaction."""
    try:
        return operation, operation.work(connection), None
    except MezzotintError as error:
        return operation, None, error


def settle(outcomes: list[Outcome]) -> None:
    """Tell everybody who still waits what became of their operation. On the event loop."""
    for operation, value, error in outcomes:
        if operation.outcome.done():
            continue
        if error:
            operation.outcome.set_exception(error)
        else:
            operation.outcome.set_result(value)


def refuse(batch: list[Operation]) -> None:
    """Tell everybody that the store has failed. On the event loop."""
    error = StoreUnavailable("the store failed; it is not known whether the change was kept")
    settle([(operation, None, error) for operation in batch])
