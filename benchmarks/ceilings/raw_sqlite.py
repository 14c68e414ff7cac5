"""The queue's own rows put into its own database by apsw alone: no wire, no thread beside, no answer to anybody."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mezzotint.queue import sqlite_changes, sqlite_store, transitions
from mezzotint.queue.job import NewJob
from mezzotint.queue.sqlite_changes import Entry
from mezzotint.queue.sqlite_writer import LOG_PAGES_MAX
from mezzotint.runtime.clock import new_id

ROWS_A_TRANSACTION = 256
Statements = list[tuple[str, list[tuple[Any, ...]]]]


def jobs_per_s(parent: Path, news: list[NewJob]) -> float:
    """Jobs a second, 256 a transaction, with fsync and with every row the engine writes, in a new folder inside `parent`."""
    transactions = list(_transactions(news))
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        store = sqlite_store.open_store(Path(folder), 0)
        pages = 0

        def note(_connection: Any, _database: str, count: int) -> int:
            nonlocal pages
            pages = count
            return 0

        store.writing.set_wal_hook(note)
        began = time.perf_counter()
        for statements in transactions:
            store.writing.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                store.writing.executemany(statement, rows)
            store.writing.execute("COMMIT")
            if pages > LOG_PAGES_MAX:
                store.writing.wal_checkpoint()
        taken = time.perf_counter() - began
        store.close(clean=True)
    return len(news) / taken


def _transactions(news: list[NewJob]) -> Iterator[Statements]:
    """The rows of each transaction, those of one statement together."""
    now = time.time()
    for start in range(0, len(news), ROWS_A_TRANSACTION):
        entries = []
        for number, new in enumerate(news[start : start + ROWS_A_TRANSACTION], start + 1):
            accepted = transitions.accept(new, new_id("job"), now)
            entries.append(Entry(replace(accepted.job, number=number), new, new.fingerprint(), accepted.event))
        tables = sqlite_changes.rows_of(entries).items()
        yield [(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows) for table, rows in tables if rows]
