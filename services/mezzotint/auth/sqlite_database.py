"""The SQLite database of the auth service: one connection in a thread of its own, each commit on disk before it is answered."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw

from mezzotint.auth.revocations import HISTORY_MAX, Revocation, Target
from mezzotint.auth.sqlite_schema import MIGRATIONS
from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal, ServerOverloaded, StorageFull

log = logging.get(__name__)
Result = TypeVar("Result")
# Steps that may wait for the thread, about a second's work.
WAITING_MAX = 4096
FULL_RETRY_SECONDS = 30.0
BUSY_RETRY_SECONDS = 1.0


class Transaction:
    """What a step of work sees: a connection inside a transaction, and the revocations it records."""

    def __init__(self, connection: apsw.Connection, history_max: int) -> None:
        self._connection = connection
        self._history_max = history_max
        self.revocations: list[Revocation] = []

    def all(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a statement."""
        return list(self._connection.execute(sql, values))

    def one(self, sql: str, *values: Any) -> Any:
        """The first row of a statement; None when there is none."""
        return next(iter(self._connection.execute(sql, values)), None)

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement; gives how many rows it changed."""
        self._connection.execute(sql, values)
        return self._connection.changes()

    def revoke(self, target: Target, target_id: str) -> None:
        """Record a revocation, to be published after the commit; the oldest beyond `history_max` are forgotten."""
        self.change("INSERT INTO revocations (target, target_id) VALUES (?, ?)", target.value, target_id)
        sequence = self._connection.last_insert_rowid()
        self.change("DELETE FROM revocations WHERE sequence <= ?", sequence - self._history_max)
        self.revocations.append(Revocation(sequence, target, target_id))


class Database:
    """Runs steps of work one after the other in its thread, each in a transaction.

    After any failure but a full disk no more work is taken, since what is in memory and on disk may differ: `failure` then
    holds an Internal, and the process must end.
    """

    def __init__(self, publish: Callable[[Revocation], None], history_max: int = HISTORY_MAX) -> None:
        self._publish = publish
        self._history_max = history_max
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._loop = asyncio.get_running_loop()
        self.failure: asyncio.Future[NoReturn] = self._loop.create_future()
        self._waiting = 0
        self._broken = False

    async def open(self, path: Path) -> None:
        """Open the file, made on first start. Raises OSError when it is not ours or cannot be read."""
        try:
            await self._loop.run_in_executor(self._executor, self._open, path)
        except apsw.Error as error:
            self._executor.shutdown()
            raise OSError(f"cannot open the database {path}: {error}") from error

    async def run(self, work: Callable[[Transaction], Result]) -> Result:
        """The result of a step of work. Raises StorageFull, ServerOverloaded, Internal or what `work` does; nothing changed."""
        if self._waiting >= WAITING_MAX:
            raise ServerOverloaded(f"{WAITING_MAX} calls wait for the account database already", retry_after=BUSY_RETRY_SECONDS)
        self._waiting += 1
        try:
            return await self._loop.run_in_executor(self._executor, self._transact, work)
        except apsw.FullError as error:
            raise StorageFull(
                "the disk of the account database is full; nothing was changed; free space and try again",
                retry_after=FULL_RETRY_SECONDS,
            ) from error
        finally:
            self._waiting -= 1

    async def history(self) -> tuple[int, list[Revocation]]:
        """The last sequence ever given, and the newest revocations up to it."""

        def work(transaction: Transaction) -> tuple[int, list[Revocation]]:
            last = transaction.one("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'")
            rows = transaction.all("SELECT sequence, target, target_id FROM revocations ORDER BY sequence")
            return (last[0] if last else 0), [Revocation(sequence, Target(target), name) for sequence, target, name in rows]

        return await self.run(work)

    async def close(self) -> None:
        """Finish what waits and close the file."""
        await self._loop.run_in_executor(self._executor, self._close)
        await asyncio.to_thread(self._executor.shutdown)
        self.failure.cancel()

    def _open(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        path.chmod(0o600)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        version = next(self._connection.execute("PRAGMA user_version"))[0]
        if version > len(MIGRATIONS):
            raise apsw.Error(f"a newer version of Mezzotint wrote it (schema {version}, this one knows {len(MIGRATIONS)})")
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            with self._connection:
                self._connection.execute(statements)
                self._connection.execute(f"PRAGMA user_version = {number}")

    def _transact(self, work: Callable[[Transaction], Result]) -> Result:
        """Called in the thread, and what follows from it begins there: its caller may have given up."""
        if self._broken:
            raise Internal("the account database failed; the server is stopping")
        transaction = Transaction(self._connection, self._history_max)
        try:
            result = self._committed(transaction, work)
        except apsw.FullError:
            raise
        except apsw.Error as error:
            self._broken = True
            self._loop.call_soon_threadsafe(self._fail, error)
            raise Internal("the account database failed; the server is stopping") from error
        self._loop.call_soon_threadsafe(self._publish_all, transaction.revocations)
        return result

    def _committed(self, transaction: Transaction, work: Callable[[Transaction], Result]) -> Result:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(transaction)
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back already after some failures, a full disk among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    def _publish_all(self, revocations: Iterable[Revocation]) -> None:
        for revocation in revocations:
            self._publish(revocation)

    def _fail(self, error: apsw.Error) -> None:
        log.error("the account database failed", exc_info=error)
        if not self.failure.done():
            self.failure.set_exception(Internal(f"the account database failed: {error}"))

    def _close(self) -> None:
        self._connection.close()
