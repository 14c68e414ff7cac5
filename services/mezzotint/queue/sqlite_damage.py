"""Damage is found, never served: every page carries a checksum, and the log is looked through after an unclean stop.

The checksums are SQLite's own checksum VFS, which verifies a page whenever it is read from disk. The write-ahead log has
checksums too, but SQLite takes the first frame that does not match for the end of the log, as after a power loss. A flipped bit
would thus drop all later commits without a word. `check_log` tells the two apart.
"""

import threading
from pathlib import Path

import apsw
from apsw import sqlite_extra

VFS = "cksmvfs"
# What the checksum VFS needs at the end of each page; a database made with another number has no checksums.
CHECKSUM_BYTES = 8
LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
_registering = threading.Lock()


def register() -> None:
    """Make VFS known to SQLite, beside the default and not instead of it. Raises apsw.Error, LookupError when it is missing."""
    with _registering:
        names = apsw.vfs_names()
        if VFS not in names:
            connection = apsw.Connection(":memory:")
            sqlite_extra.load(connection, "cksumvfs")
            connection.close()
            apsw.set_default_vfs(names[0])


def is_checksum_error(error: BaseException) -> bool:
    """A page was read whose checksum is wrong."""
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA


def check_pages(connection: apsw.Connection) -> None:
    """Read every page. Raises apsw.CorruptError when one is not where it belongs, apsw.IOError when its checksum is wrong."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(10)")]
    if found != ["ok"]:
        raise apsw.CorruptError("; ".join(map(str, found)))


def add_checksums(connection: apsw.Connection) -> None:
    """Give a database that was made without checksums its own, once: it is checked, and written anew."""
    if connection.reserve_bytes() != CHECKSUM_BYTES:
        check_pages(connection)
        connection.reserve_bytes("main", CHECKSUM_BYTES)
        connection.execute("VACUUM")


def check_log(connection: apsw.Connection, log: Path, page_bytes: int) -> None:
    """Raises apsw.CorruptError when commits that were synced are missing from what SQLite recovered of `log`.

    Each commit is synced before the next begins. So what a power loss leaves half written holds one commit at most; two
    behind the recovered part were lost some other way. A damaged last commit looks like one that was not finished. The header
    of a log is shorter than a sector, so it is written whole or not at all.
    """
    if not log.exists():
        return
    recovered, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    with log.open("rb") as file:
        salts = _halves(file.read(LOG_HEADER_BYTES)[16:24])
        commits = 0
        file.seek(LOG_HEADER_BYTES + max(recovered, 0) * frame_bytes)
        while len(frame := file.read(frame_bytes)) > FRAME_HEADER_BYTES:
            # A frame of this log has its salts. One matching half will do: the other may be what is damaged.
            ours = any(mine == other for mine, other in zip(salts, _halves(frame[8:16]), strict=True))
            commits += ours and frame[4:8] != bytes(4)
    if commits > 1:
        raise apsw.CorruptError(f"its log breaks off {commits} commits before its end")


def _halves(salts: bytes) -> tuple[bytes, bytes]:
    return salts[:4], salts[4:]
