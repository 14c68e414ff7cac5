"""The files of the SQLite engine: opened by one server at a time, checked after an unclean stop, closed in order."""

import fcntl
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from apsw import sqlite_extra

from mezzotint.queue import sqlite_damage, sqlite_fresh, sqlite_rows
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_schema import ADDED, MIGRATIONS, TABLES, VERSION
from mezzotint.runtime import logging

log = logging.get(__name__)
DATABASE, LOCK = "queue.sqlite", "queue.lock"
PAGE_BYTES = 4096
WRITING_SETTINGS = (
    f"page_size = {PAGE_BYTES}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "cell_size_check = ON",
    "wal_autocheckpoint = 0",
    "temp_store = MEMORY",
)
# The part of the store that new jobs may not take, so that those accepted can still be started and finished.
RESERVE_PART = 0.1
DATABASE_BYTES_MIN = 1024 * 1024


@dataclass
class SqliteStore:
    """Two connections to one database: one that writes, one that reads. The lock is held until `close`."""

    writing: apsw.Connection
    reading: apsw.Connection
    lock: int
    pages_max: int = 0
    numbers: int = field(default=0)

    def next_number(self) -> int:
        """The number of the next job. On the writing thread."""
        self.numbers += 1
        return self.numbers

    def bytes_left(self) -> float:
        """How much new jobs may still take: the reserve is not touched. On the writing thread."""
        if not self.pages_max:
            return math.inf
        used = _pragma(self.writing, "page_count") - _pragma(self.writing, "freelist_count")
        return (self.pages_max * (1 - RESERVE_PART) - used) * PAGE_BYTES

    def close(self, *, clean: bool) -> None:
        """Close both connections and give the lock back. `clean`: the next start need not check the database.

        After a failure the files are left as they are: what is on the disk is not known, the next start finds out.
        """
        if clean:
            try:
                self.writing.execute("UPDATE meta SET value = 1 WHERE name = 'closed_cleanly'")
            except apsw.Error as error:
                log.warning("not closed in order: the next start checks the database", error=str(error))
                clean = False
        self.writing.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not clean))
        for connection in (self.reading, self.writing):
            try:
                connection.close()
            except apsw.Error as error:
                log.warning("the log could not be emptied; the next start reads it", error=str(error))
        os.close(self.lock)


def open_store(folder: Path, bytes_max: int) -> SqliteStore:
    """Open the store in `folder`, made on first use. Raises StoreUnavailable."""
    _make_folder(folder)
    lock = _take_lock(folder / LOCK)
    path = folder / DATABASE
    try:
        return _open_connections(path, lock, bytes_max)
    except (apsw.Error, LookupError, sqlite_extra.NotAvailable) as error:
        os.close(lock)
        raise StoreUnavailable(_refusal(path, error)) from error
    except BaseException:
        os.close(lock)
        raise


def _refusal(path: Path, error: BaseException) -> str:
    """Why the database cannot be opened, and what to do."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError) or sqlite_damage.is_checksum_error(error):
        what = "the checksum of a page is wrong" if isinstance(error, apsw.IOError) else error
        return f"{path} is damaged: {what}; put a backup in its place, or move it and its -wal file away to begin empty"
    if isinstance(error, apsw.Error):
        return f"{path} cannot be opened: {error}; look after the disk and start again"
    return f"the checksums of SQLite's pages are not available ({error}); install apsw from its own wheel"


def _make_folder(folder: Path) -> None:
    """Make the folder so that a power loss cannot take it back: each new entry is synced in the folder above."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for each in missing:
        above = os.open(each.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(above)
        finally:
            os.close(above)


def _take_lock(path: Path) -> int:
    """Hold the lock file, or raise StoreUnavailable when another server does."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        raise StoreUnavailable(
            f"{path.parent} is in use by another queue server (process {holder or 'unknown'}); stop it first"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _open_connections(path: Path, lock: int, bytes_max: int) -> SqliteStore:
    """Both connections, the tables made and checked."""
    sqlite_damage.register()
    writing = _connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        path.chmod(0o600)
        _make_ready(writing, path)
        pages_max = max(bytes_max, DATABASE_BYTES_MIN) // PAGE_BYTES if bytes_max else 0
        if pages_max:
            writing.execute(f"PRAGMA max_page_count = {pages_max}")
        writing.execute("UPDATE meta SET value = 0 WHERE name = 'closed_cleanly'")
        sqlite_fresh.create(writing)
        numbers: Any = writing.execute("SELECT coalesce(max(number), 0) FROM registry").get
        return SqliteStore(writing, _connect(path, apsw.SQLITE_OPEN_READONLY), lock, pages_max, numbers)
    except BaseException:
        writing.close(True)
        raise


def _make_ready(writing: apsw.Connection, path: Path) -> None:
    """The database with its tables: made, or of this version and checked. The log is left as it is until it was looked at."""
    # SQLite keeps the mode that there was when it cannot change it, and says so nowhere else.
    if writing.execute("PRAGMA journal_mode").get != "wal":
        raise StoreUnavailable(f"{path} cannot have a write-ahead log: its disk or file system does not allow it")
    version = _pragma(writing, "user_version")
    if version == 0:
        _create(writing)
    elif version != VERSION and version not in MIGRATIONS:
        raise StoreUnavailable(
            f"{path} has format {version}; this server reads format {VERSION}: use the version that wrote it"
        )
    sqlite_damage.check_log(writing, path.with_name(f"{path.name}-wal"), PAGE_BYTES)
    _check(writing, path)
    # Begin a new log: what a crash left behind the end of the old one must not be taken for a part of it later.
    writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    sqlite_damage.add_checksums(writing)
    _migrate(writing)
    writing.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


def _connect(path: Path, flags: int) -> apsw.Connection:
    """One connection, set to fsync the log at every commit."""
    connection = apsw.Connection(str(path), flags, vfs=sqlite_damage.VFS, statementcachesize=sqlite_rows.STATEMENTS_KEPT)
    try:
        connection.set_busy_timeout(5000)
        if flags & apsw.SQLITE_OPEN_READWRITE:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            if _pragma(connection, "page_count") == 0:
                connection.reserve_bytes("main", sqlite_damage.CHECKSUM_BYTES)
            for setting in WRITING_SETTINGS:
                connection.execute(f"PRAGMA {setting}").fetchall()  # the end of it is where it is written
    except BaseException:
        connection.close(True)
        raise
    return connection


def _create(connection: apsw.Connection) -> None:
    """The empty database, in one transaction."""
    with connection:
        connection.execute(TABLES + ADDED)
        connection.execute("INSERT INTO meta VALUES ('closed_cleanly', 1)")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _migrate(connection: apsw.Connection) -> None:
    """A database of an older format becomes one of this, in one transaction."""
    with connection:
        while (version := _pragma(connection, "user_version")) in MIGRATIONS:
            log.info("the database gets the next format", before=version, after=version + 1)
            connection.execute("".join(MIGRATIONS[version]))
            connection.execute(f"PRAGMA user_version = {version + 1}")


def _check(connection: apsw.Connection, path: Path) -> None:
    """After an unclean stop: look through the whole database. Raises StoreUnavailable when it is damaged."""
    clean = connection.execute("SELECT value FROM meta WHERE name = 'closed_cleanly'").fetchall()
    if clean == [(1,)]:
        return
    log.info("checking the database after an unclean stop", path=str(path))
    sqlite_damage.check_pages(connection)


def _pragma(connection: apsw.Connection, name: str) -> int:
    """The number a pragma gives."""
    value = connection.execute(f"PRAGMA {name}").get
    assert isinstance(value, int), f"PRAGMA {name} gave {value!r}"
    return value
