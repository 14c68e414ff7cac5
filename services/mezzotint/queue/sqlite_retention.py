"""Dropping jobs that have been final for long enough, inside a transaction of the caller's."""

import apsw

from mezzotint.queue.sqlite_schema import labels_of


def forget(connection: apsw.Connection, finished_before: float, limit: int) -> int:
    """Drop up to `limit` jobs that were final before a moment; gives how many."""
    numbers = connection.execute(
        "SELECT number FROM finished WHERE finished_at < ? ORDER BY finished_at LIMIT ?", (finished_before, limit)
    ).fetchall()
    for number in numbers:
        for (labels,) in connection.execute("SELECT labels FROM registry WHERE number = ? AND labels != ''", number).fetchall():
            for label in labels_of(labels):
                connection.execute("DELETE FROM label WHERE name = ? AND value = ? AND number = ?", (*label, *number))
    connection.executemany("DELETE FROM finished WHERE number = ?", numbers)
    connection.executemany("DELETE FROM registry WHERE number = ?", numbers)
    connection.executemany("DELETE FROM body WHERE number = ?", numbers)
    connection.executemany("DELETE FROM event WHERE number = ?", numbers)
    return len(numbers)
