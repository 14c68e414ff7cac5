"""One thread that writes: it takes the operations that wait, commits them at once, and answers after fsync.

Checkpoints run here too, between batches. A full disk refuses the operations that do not fit; any other error stops the writer
for good.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_inbox import Inbox
from mezzotint.queue.sqlite_operations import AtOnce, Group, Operation, each, fill, fill_at_once, refuse, settle, size
from mezzotint.runtime import logging
from mezzotint.runtime.errors import StorageFull

log = logging.get(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
# Told of a commit: the seconds it took, the items in it, and the bytes of the log that are not checkpointed.
Committed = Callable[[float, int, int], None]
# The write-ahead log is copied into the database when it is longer than this, and emptied when nothing was written for a while.
LOG_PAGES_MAX = 1024
LOG_FRAME_BYTES = 4096 + 24
IDLE_SECONDS = 1.0
RETRY_SECONDS = 30.0


class SqliteWriter:
    """Runs operations on `connection`, which no other thread may touch. `failed` gets the error that stopped it."""

    def __init__(self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop, committed: Committed) -> None:
        self._connection = connection
        self._tell = committed
        self._loop = loop
        self._inbox = Inbox(loop)
        self._log_pages = 0
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self.failed: asyncio.Future[None] = loop.create_future()
        self.committed = 0
        connection.set_wal_hook(self._note_log)

    def start(self) -> None:
        """Take operations."""
        self._thread.start()

    def submit(self, group: Group[Item, Result], item: Item) -> "asyncio.Future[Result]":
        """Have `group` do `item`. The future is done once that is on disk, or fails as `run` does; cancelling it is in vain."""
        return self._put(Operation(group, (item,), self._loop.create_future(), single=True))

    def submit_all(
        self, group: Group[Item, Result], at_once: AtOnce[Item, Result], items: Sequence[Item]
    ) -> "asyncio.Future[Any]":
        """Have `group` do `items` in one transaction: gives for each its value or the error that refused it.

        They are done with `at_once` instead if it can and nothing else is to be done.
        """
        return self._put(Operation(group, items, self._loop.create_future(), at_once=at_once))

    async def run(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """What `work` gives, once it is on disk. Raises what it raises, StorageFull, StoreUnavailable."""
        return await self.submit(each, work)

    async def stop(self) -> None:
        """Do what waits and end the thread."""
        self._inbox.close()
        await asyncio.to_thread(self._thread.join)

    def fail(self, error: BaseException) -> StoreUnavailable:
        """The store has failed: nothing more is taken, what waits is refused. Gives the error to raise. On the event loop."""
        failure = StoreUnavailable(f"the store failed: {error!r}; restart the queue, it recovers by itself")
        if not self.failed.done():
            log.error("the store failed; stopping", exc_info=error)
            self.failed.set_exception(failure)
        self._inbox.fail()
        return failure

    def _put(self, operation: Operation) -> "asyncio.Future[Any]":
        self._inbox.put(operation)
        return operation.outcome

    def _run(self) -> None:
        try:
            while (operations := self._next()) is not None:
                self._commit(operations)
        except BaseException as error:  # noqa: BLE001  # whatever it was, nobody may be told that a change is on disk
            self._loop.call_soon_threadsafe(self.fail, error)

    def _next(self) -> list[Operation] | None:
        """What is to be done next; the log is emptied once nothing was for a while."""
        while True:
            try:
                return self._inbox.next(IDLE_SECONDS if self._log_pages else None)
            except TimeoutError:
                checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._log_pages = 0

    def _commit(self, operations: list[Operation]) -> None:
        items = size(operations)
        try:
            seconds = transact(self._connection, operations)
        except apsw.FullError:
            seconds = 0.0
            for operation in operations:
                alone(self._connection, operation)
        except BaseException:
            self._loop.call_soon_threadsafe(refuse, operations)
            raise
        self.committed += items
        self._loop.call_soon_threadsafe(settle, operations)
        self._tell(seconds, items, self._log_pages * LOG_FRAME_BYTES)
        if self._log_pages > LOG_PAGES_MAX:
            checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _note_log(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK


def transact(connection: apsw.Connection, operations: Sequence[Operation]) -> float:
    """Do the operations in one transaction; gives the seconds of its COMMIT, or of the statement that was all of it.

    Raises FullError, with all of it undone.
    """
    began = time.perf_counter()
    if fill_at_once(connection, operations):
        return time.perf_counter() - began
    try:
        connection.execute("BEGIN IMMEDIATE")
        fill(connection, operations)
        began = time.perf_counter()
        connection.execute("COMMIT")
    except apsw.FullError:
        if connection.in_transaction:  # unless SQLite has undone it already
            connection.execute("ROLLBACK")
        raise
    return time.perf_counter() - began


def alone(connection: apsw.Connection, operation: Operation) -> None:
    """One operation in a transaction of its own, after a batch did not fit the disk."""
    try:
        transact(connection, [operation])
    except apsw.FullError:
        operation.refuse(StorageFull("the queue's disk or store is full; try again later", retry_after=RETRY_SECONDS))


def checkpoint(connection: apsw.Connection, mode: int) -> None:
    """Copy the log into the database, or put it off."""
    try:
        connection.wal_checkpoint(mode=mode)
    except (apsw.FullError, apsw.BusyError, apsw.LockedError) as error:
        log.warning("checkpoint put off", error=str(error))
