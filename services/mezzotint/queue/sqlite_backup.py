"""`python -m mezzotint.queue.sqlite_backup DATABASE COPY`: copy the queue's database while it is in use.

SQLite's shell cannot: it does not know the checksums at the end of each page, and the queue would refuse what it wrote.
"""

import argparse
import sys
from pathlib import Path

import apsw

from mezzotint.queue import sqlite_damage


class BackupFailed(Exception):
    """The copy could not be made; there is none."""


def back_up(database: Path, copy: Path) -> None:
    """Write what `database` holds now to the new file `copy`, every page read and checked. Raises BackupFailed."""
    if copy.exists():
        raise BackupFailed(f"{copy} exists already: name a new file, or remove it first")
    sqlite_damage.register()
    try:
        _copy(database, copy)
    except apsw.Error as error:
        copy.unlink(missing_ok=True)
        raise BackupFailed(f"{database} could not be copied to {copy}: {error}") from error


def _copy(database: Path, copy: Path) -> None:
    source = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY, vfs=sqlite_damage.VFS)
    try:
        source.execute("VACUUM INTO ?", (str(copy),))
    finally:
        source.close(True)
    written = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY, vfs=sqlite_damage.VFS)
    try:
        sqlite_damage.check_pages(written)
    finally:
        written.close(True)


def main() -> None:
    """Copy, or say why not and exit with 1."""
    parser = argparse.ArgumentParser(prog="python -m mezzotint.queue.sqlite_backup", description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("copy", type=Path)
    options = parser.parse_args()
    try:
        back_up(options.database, options.copy)
    except BackupFailed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
