"""The store over SQLite: one file, opened with the history that the revocation log continues."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mezzotint.auth.revocations import RevocationLog
from mezzotint.auth.sqlite_accounts import SqliteAccounts
from mezzotint.auth.sqlite_database import Database
from mezzotint.auth.sqlite_keys import SqliteKeys
from mezzotint.auth.sqlite_sessions import SqliteSessions
from mezzotint.auth.store import Store


@asynccontextmanager
async def open_sqlite(path: Path, log: RevocationLog) -> AsyncIterator[tuple[Store, Database]]:
    """The store in the file `path`, publishing to `log`, and the database whose failure must end the process."""
    database = Database(log.append, log.history_max)
    await database.open(path)
    try:
        log.restore(*await database.history())
        yield Store(SqliteAccounts(database), SqliteKeys(database), SqliteSessions(database)), database
    finally:
        await database.close()
