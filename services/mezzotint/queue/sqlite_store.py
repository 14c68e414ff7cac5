"""The files of the SQLite engine: opened by one server at a time, checked after an unclean stop, closed in order."""

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_schema import TABLES, VERSION
from mezzotint.runtime import logging

log = logging.get(__name__)
DATABASE, LOCK = "queue.sqlite", "queue.lock"
PAGE_BYTES = 4096
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

    def has_room(self) -> bool:
        """New jobs may still come: the reserve is not touched. On the writing thread."""
        if not self.pages_max:
            return True
        used = _pragma(self.writing, "page_count") - _pragma(self.writing, "freelist_count")
        return used < self.pages_max * (1 - RESERVE_PART)

    def close(self, *, clean: bool) -> None:
        """Close both connections and give the lock back. `clean`: the next start need not check the database."""
        self.reading.close()
        if clean:
            try:
                self.writing.execute("UPDATE meta SET value = 1 WHERE name = 'closed_cleanly'")
            except apsw.FullError:
                log.warning("the disk is full: the next start checks the database")
        self.writing.close()
        os.close(self.lock)


def open_store(folder: Path, bytes_max: int) -> SqliteStore:
    """Open the store in `folder`, made on first use. Raises StoreUnavailable."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _take_lock(folder / LOCK)
    path = folder / DATABASE
    try:
        return _open_connections(path, lock, bytes_max)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        os.close(lock)
        raise StoreUnavailable(
            f"{path} is damaged: {error}; put a backup in its place, or move it and its -wal file away to begin empty"
        ) from error
    except BaseException:
        os.close(lock)
        raise


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
    writing = _connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    path.chmod(0o600)
    version = _pragma(writing, "user_version")
    if version == 0:
        _create(writing)
    elif version != VERSION:
        raise StoreUnavailable(
            f"{path} has format {version}; this server reads format {VERSION}: use the version that wrote it"
        )
    _check(writing, path)
    pages_max = max(bytes_max, DATABASE_BYTES_MIN) // PAGE_BYTES if bytes_max else 0
    if pages_max:
        writing.execute(f"PRAGMA max_page_count = {pages_max}")
    writing.execute("UPDATE meta SET value = 0 WHERE name = 'closed_cleanly'")
    numbers: Any = writing.execute("SELECT coalesce(max(number), 0) FROM registry").get
    return SqliteStore(writing, _connect(path, apsw.SQLITE_OPEN_READONLY), lock, pages_max, numbers)


def _connect(path: Path, flags: int) -> apsw.Connection:
    """One connection, set to fsync the log at every commit."""
    connection = apsw.Connection(str(path), flags)
    connection.set_busy_timeout(5000)
    if flags & apsw.SQLITE_OPEN_READWRITE:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _create(connection: apsw.Connection) -> None:
    """The empty database, in one transaction."""
    with connection:
        connection.execute(TABLES)
        connection.execute("INSERT INTO meta VALUES ('closed_cleanly', 1)")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _check(connection: apsw.Connection, path: Path) -> None:
    """After an unclean stop: look through the whole database. Raises StoreUnavailable when it is damaged."""
    clean = connection.execute("SELECT value FROM meta WHERE name = 'closed_cleanly'").fetchall()
    if clean == [(1,)]:
        return
    log.info("checking the database after an unclean stop", path=str(path))
    found = [row[0] for row in connection.execute("PRAGMA quick_check(10)")]
    if found != ["ok"]:
        raise apsw.CorruptError("; ".join(map(str, found)))


def _pragma(connection: apsw.Connection, name: str) -> int:
    """The number a pragma gives."""
    value = connection.execute(f"PRAGMA {name}").get
    assert isinstance(value, int), f"PRAGMA {name} gave {value!r}"
    return value
