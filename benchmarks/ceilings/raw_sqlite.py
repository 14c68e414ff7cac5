"""The queue's own rows put into its own database by apsw alone: no wire, no thread beside, no answer to anybody."""

import time
from collections.abc import Iterator, Sequence
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


class RawStore:
    """The database in a folder, with the jobs that were put into it before: an index costs more the more there are."""

    def __init__(self, folder: Path) -> None:
        self._store = sqlite_store.open_store(folder, 0)
        self._pages = 0
        self._store.writing.set_wal_hook(self._note)

    def __len__(self) -> int:
        return self._store.numbers

    def put(self, news: Sequence[NewJob]) -> float:
        """Jobs a second, 256 a transaction, with fsync and with every row the engine writes."""
        transactions = list(_transactions(news, self._store.numbers))
        self._store.numbers += len(news)
        writing = self._store.writing
        began = time.perf_counter()
        for statements in transactions:
            writing.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                writing.executemany(statement, rows)
            writing.execute("COMMIT")
            if self._pages > LOG_PAGES_MAX:
                writing.wal_checkpoint()
        return len(news) / (time.perf_counter() - began)

    def close(self) -> None:
        """Close the database in order."""
        self._store.close(clean=True)

    def _note(self, _connection: Any, _database: str, pages: int) -> int:
        self._pages = pages
        return 0


def _transactions(news: Sequence[NewJob], before: int) -> Iterator[Statements]:
    """The rows of each transaction, those of one statement together; their numbers follow `before`."""
    now = time.time()
    for start in range(0, len(news), ROWS_A_TRANSACTION):
        entries = []
        for number, new in enumerate(news[start : start + ROWS_A_TRANSACTION], before + start + 1):
            accepted = transitions.accept(new, new_id("job"), now)
            entries.append(Entry(replace(accepted.job, number=number), new, new.fingerprint(), accepted.event))
        tables = sqlite_changes.rows_of(entries).items()
        yield [(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows) for table, rows in tables if rows]
