"""New jobs in one statement that is a transaction of its own.

Every statement asks Python's lock back at its end, and a busy event loop keeps it for its switch interval: BEGIN, an insert for
each table and COMMIT wait for it seven times, one statement once. So new jobs go through a view of the connection's, whose
triggers write the rows of all tables. That takes twice as long a row, so it is for few.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, islice

import apsw

from mezzotint.queue import sqlite_rows
from mezzotint.queue.sqlite_changes import Entry, rows_of

ROWS_MAX = 64
# The view has the columns of these tables, one after the other; those of `label` come from the last of the registry.
WIDTHS = {"registry": 12, "job": 8, "body": 3, "event": 9}
COLUMNS = tuple(f"c{index}" for index in range(sum(WIDTHS.values())))
NUMBER, LABELS = f"NEW.{COLUMNS[0]}", f"NEW.{COLUMNS[WIDTHS['registry'] - 1]}"
INSERT = "INSERT INTO fresh {rows}"
ROW = "INSERT INTO {table} VALUES ({values});"
LABELLED = "INSERT INTO label SELECT key, value, {number} FROM json_each({labels});"


def create(connection: apsw.Connection) -> None:
    """The view and its triggers, which last as long as the connection."""
    connection.execute(f"CREATE TEMP VIEW fresh AS SELECT {', '.join(f'NULL AS {column}' for column in COLUMNS)}")
    columns = iter(COLUMNS)
    rows = [ROW.format(table=table, values=_new(islice(columns, width))) for table, width in WIDTHS.items()]
    labels = LABELLED.format(number=NUMBER, labels=LABELS)
    connection.execute(f"CREATE TEMP TRIGGER rows INSTEAD OF INSERT ON fresh BEGIN {' '.join(rows)} END")
    connection.execute(f"CREATE TEMP TRIGGER labels INSTEAD OF INSERT ON fresh WHEN {LABELS} <> '' BEGIN {labels} END")


def insert(connection: apsw.Connection, entries: Sequence[Entry]) -> None:
    """New jobs, ROWS_MAX at most. Raises ConstraintError, with nothing done, when the request of one was accepted before."""
    tables = rows_of(entries)
    rows = zip(*(tables[table] for table in WIDTHS), strict=True)
    values = chain.from_iterable(chain.from_iterable(rows))
    connection.execute(sqlite_rows.text(INSERT, len(COLUMNS), len(entries)), tuple(values))


def _new(columns: Iterable[str]) -> str:
    """These columns of the new row."""
    return ", ".join(f"NEW.{column}" for column in columns)
