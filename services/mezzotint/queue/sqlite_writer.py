"""One thread that writes: it takes the operations that wait, commits them at once, and answers after fsync.

What is asked for in one turn of the event loop is handed over together, so that it costs one wake-up of the thread; when many
operations come at once, what is asked for in GATHER_SECONDS, as a commit costs nearly the same for one as for many. Checkpoints
run here too, between batches. A full disk refuses the operations that do not fit; any other error stops the writer for good.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.runtime import logging
from mezzotint.runtime.errors import MezzotintError, StorageFull

log = logging.get(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
# Does operations of one kind inside the transaction under way, and gives for each its value or the error that refuses it. It
# checks an operation before it writes for it, and raises only what must stop the store, or apsw.FullError.
Group = Callable[[apsw.Connection, Sequence[Item]], Sequence[Result | MezzotintError]]
# Told of a commit: the seconds that COMMIT took, the operations in it, and the bytes of the log that are not checkpointed.
Committed = Callable[[float, int, int], None]
# A transaction with so many operations takes no more; the last hand-over may bring it up to twice as many.
BATCH_OPERATIONS_MAX = 256
# After a commit of so many operations the next is waited for a little, so that more come with it.
CROWD_OPERATIONS = 4
GATHER_SECONDS = 0.002
# The write-ahead log is copied into the database when it is longer than this, and emptied when nothing was written for a while.
LOG_PAGES_MAX = 1024
LOG_FRAME_BYTES = 4096 + 24
IDLE_SECONDS = 1.0
RETRY_SECONDS = 30.0


class Operation:
    """One thing to do in a transaction, and what became of it."""

    __slots__ = ("group", "item", "outcome", "value")

    def __init__(self, group: Group[Any, Any], item: Any, outcome: "asyncio.Future[Any]") -> None:
        self.group = group
        self.item = item
        self.outcome = outcome
        self.value: Any = None


class SqliteWriter:
    """Runs operations on `connection`, which no other thread may touch. `failed` gets the error that stopped it."""

    def __init__(self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop, committed: Committed) -> None:
        self._connection = connection
        self._tell = committed
        self._loop = loop
        self._gathered: list[Operation] = []
        self._waiting: queue.SimpleQueue[list[Operation] | None] = queue.SimpleQueue()
        self._stopping = False
        self._crowd = 0
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
        outcome: asyncio.Future[Result] = self._loop.create_future()
        if self._stopping:
            outcome.set_exception(StoreUnavailable("the store does not take changes any more; the server is stopping"))
            return outcome
        self._gathered.append(Operation(group, item, outcome))
        if len(self._gathered) == BATCH_OPERATIONS_MAX:
            self._hand_over()
        elif len(self._gathered) == 1 and self._crowd < CROWD_OPERATIONS:
            self._loop.call_soon(self._hand_over)
        elif len(self._gathered) == 1:
            self._loop.call_later(GATHER_SECONDS, self._hand_over)
        return outcome

    async def run(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """What `work` gives, once it is on disk. Raises what it raises, StorageFull, StoreUnavailable."""
        return await self.submit(each, work)

    async def stop(self) -> None:
        """Do what waits and end the thread."""
        self._stopping = True
        self._hand_over()
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        """Give the thread what was asked for in this turn."""
        if self._gathered:
            self._waiting.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(batch)
        except BaseException as error:  # noqa: BLE001  # whatever it was, nobody may be told that a change is on disk
            self._loop.call_soon_threadsafe(self.fail, error)

    def _next_batch(self) -> list[Operation] | None:
        """Everything that waits, once there is something; None when the writer is to stop."""
        while True:
            try:
                batch = self._waiting.get(timeout=IDLE_SECONDS if self._log_pages else None)
            except queue.Empty:
                self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._log_pages = 0
                continue
            return None if batch is None else self._fill(batch)

    def _fill(self, batch: list[Operation]) -> list[Operation]:
        """The batch with what waits behind it."""
        while len(batch) < BATCH_OPERATIONS_MAX:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._waiting.put(None)
                break
            batch += more
        return batch

    def _commit(self, batch: list[Operation]) -> None:
        try:
            seconds = self._transact(batch)
        except apsw.FullError:
            seconds = 0.0
            for operation in batch:
                self._alone(operation)
        except BaseException:
            self._loop.call_soon_threadsafe(refuse, batch)
            raise
        self.committed += len(batch)
        self._loop.call_soon_threadsafe(self._settle, batch)
        self._tell(seconds, len(batch), self._log_pages * LOG_FRAME_BYTES)
        if self._log_pages > LOG_PAGES_MAX:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _transact(self, batch: Sequence[Operation]) -> float:
        """Do the operations in one transaction; gives the seconds of its COMMIT. Raises FullError, with all of it undone."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            fill(self._connection, batch)
            began = time.perf_counter()
            self._connection.execute("COMMIT")
        except apsw.FullError:
            roll_back(self._connection)
            raise
        return time.perf_counter() - began

    def _settle(self, batch: Sequence[Operation]) -> None:
        self._crowd = len(batch)
        settle(batch)

    def _alone(self, operation: Operation) -> None:
        """One operation in a transaction of its own, after a batch did not fit the disk."""
        try:
            self._transact([operation])
        except apsw.FullError:
            text = "the queue's disk or store is full; try again later"
            operation.value = StorageFull(text, retry_after=RETRY_SECONDS)

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
        self._hand_over()
        for _ in range(self._waiting.qsize()):
            refuse(self._waiting.get() or [])
        return failure


def roll_back(connection: apsw.Connection) -> None:
    """Undo the transaction, unless SQLite has done so."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def fill(connection: apsw.Connection, batch: Sequence[Operation]) -> None:
    """Do the operations, those of one group together. No two of a batch are of the same job, so their order is free."""
    groups: dict[Group[Any, Any], list[Operation]] = {}
    for operation in batch:
        groups.setdefault(operation.group, []).append(operation)
    for group, operations in groups.items():
        values = group(connection, [operation.item for operation in operations])
        for operation, value in zip(operations, values, strict=True):
            operation.value = value


def each(connection: apsw.Connection, works: Sequence[Callable[[apsw.Connection], Any]]) -> list[Any]:
    """A group whose operations are functions."""
    return [_attempt(connection, work) for work in works]


def _attempt(connection: apsw.Connection, work: Callable[[apsw.Connection], Any]) -> Any:
    """What `work` gives, or the expected failure that it raises."""
    try:
        return work(connection)
    except MezzotintError as error:
        return error


def settle(batch: Sequence[Operation]) -> None:
    """Tell everybody who still waits what became of their operation, in the order they asked. On the event loop."""
    for operation in batch:
        if operation.outcome.done():
            continue
        if isinstance(operation.value, BaseException):
            operation.outcome.set_exception(operation.value)
        else:
            operation.outcome.set_result(operation.value)


def refuse(batch: Sequence[Operation]) -> None:
    """Tell everybody that the store has failed. On the event loop."""
    for operation in batch:
        operation.value = StoreUnavailable("the store failed; it is not known whether the change was kept")
    settle(batch)
