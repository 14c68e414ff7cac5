"""Many rows in one statement.

Python's lock is given back and taken again with every step of SQLite's, and an event loop that is busy may keep it for a while.
So a batch asks once a table, not once a row. The sizes are few, so that SQLite compiles each text once.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import apsw

Row = tuple[Any, ...]
SIZES = (256, 128, 64, 32, *range(16, 0, -1))
# Texts that are kept compiled: of all statements in all sizes.
STATEMENTS_KEPT = 512


def write(connection: apsw.Connection, statement: str, rows: Sequence[Row]) -> int:
    """Execute `statement`, whose {rows} stands for rows of VALUES; gives how many rows of the table it changed."""
    changed = 0
    for piece in pieces(rows):
        connection.execute(text(statement, len(piece[0]), len(piece)), tuple(chain.from_iterable(piece)))
        changed += connection.changes()
    return changed


def read(connection: apsw.Connection, statement: str, rows: Sequence[Row]) -> Iterator[Row]:
    """What `statement` gives, whose {rows} stands for rows of VALUES."""
    for piece in pieces(rows):
        yield from connection.execute(text(statement, len(piece[0]), len(piece)), tuple(chain.from_iterable(piece)))


def read_each(connection: apsw.Connection, expression: str, keys: Sequence[Any]) -> list[Any]:
    """What `expression`, a query of one value with one ?, gives for each key; all as columns of one row, so in one step."""
    found: list[Any] = []
    for piece in pieces(keys):
        for row in connection.execute(columns(expression, len(piece)), piece):
            found += row
    return found


def pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The rows in parts of the known sizes, as few as possible."""
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@cache
def text(statement: str, width: int, height: int) -> str:
    """The statement with so many rows of so many columns."""
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=f"VALUES {', '.join([row] * height)}")


@cache
def columns(expression: str, count: int) -> str:
    """A query of as many values."""
    return f"SELECT {', '.join([f'({expression})'] * count)}"
