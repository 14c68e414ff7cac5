"""What the SQLite engine finds in its tables, inside a transaction of the caller's."""

from dataclasses import replace
from functools import partial
from typing import Any

import apsw

from mezzotint.queue.engine import JobQuery
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.sqlite_reader import SqliteReader
from mezzotint.queue.sqlite_schema import COLUMNS, FINISHED_COLUMNS, SEGMENT_BITS, job_of

# Jobs that are looked at in one read, where no index finds those that are asked for.
WALK_JOBS = 20_000
# Segments of the index by account that are looked at in one read.
WALK_SEGMENTS = 64


def result_of(connection: apsw.Connection, number: int) -> bytes:
    """The result of a job; empty without one."""
    for (result,) in connection.execute("SELECT result FROM body WHERE number = ?", (number,)):
        return result or b""
    return b""


async def search(reader: SqliteReader, query: JobQuery) -> list[Job]:
    """The jobs a query asks for, newest first.

    Where no index finds them all, those there are may have to be walked: so many at a time, and other reads come between.
    """
    if query.labels or query.dead or not (query.account_id or query.tier or query.kind or query.reason):
        return await reader.run(lambda reading: select(reading, query))
    jobs = WALK_SEGMENTS << SEGMENT_BITS if query.account_id else WALK_JOBS
    oldest, newest = await reader.run(_bounds)
    found: list[Job] = []
    before = min(query.before or newest + 1, newest + 1)
    while before > oldest and len(found) < query.limit:
        part = replace(query, before=before, limit=query.limit - len(found))
        before = max(oldest, before - jobs)
        found += await reader.run(partial(select, query=part, first=before))
    return found


def _bounds(connection: apsw.Connection) -> tuple[int, int]:
    """The lowest and the highest number of a job that is kept."""
    lowest: Any = connection.execute("SELECT coalesce(min(number), 0) FROM registry").get
    highest: Any = connection.execute("SELECT coalesce(max(number), 0) FROM registry").get
    return lowest, highest


def select(connection: apsw.Connection, query: JobQuery, first: int = 0) -> list[Job]:
    """The jobs a query asks for, none with a number below `first`, in one read.

    The tables are walked by number, so a page costs what it holds, filters aside. Labels, an account from `first` on, or being
    dead have indexes of their own; of several labels the first is walked.
    """
    found: list[Job] = []
    for columns, table, finished in ((COLUMNS, "job", False), (FINISHED_COLUMNS, "finished", True)):
        states = [int(state) for state in query.states if state.final is finished]
        if (query.states and not states) or ((query.dead or query.reason) and not finished):
            continue
        conditions, values = _conditions(query, first, states)
        # Tables joined by CROSS JOIN are walked in the order in which they stand.
        if query.labels:
            source, order = f"label l CROSS JOIN registry r USING (number) CROSS JOIN {table} j USING (number)", "l.number"
        elif query.account_id and first:
            source, order = f"registry r INDEXED BY registry_account CROSS JOIN {table} j USING (number)", "r.number"
            conditions.append(f"r.number >> {SEGMENT_BITS} IN ({_segments(first, query.before)})")
        else:
            source, order = f"registry r JOIN {table} j USING (number)", "j.number"
        statement = f"{columns} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?"
        found += [job_of(row) for row in connection.execute(statement, (*values, query.limit))]
    return sorted(found, key=lambda job: -job.number)[: query.limit]


def _segments(first: int, before: int) -> str:
    """The segments in which numbers from `first` on and below `before` lie, as SQL lists them."""
    return ", ".join(map(str, range(first >> SEGMENT_BITS, (before - 1 >> SEGMENT_BITS) + 1)))


def _conditions(query: JobQuery, first: int, states: list[int]) -> tuple[list[str], list[Any]]:
    """The conditions of a query and their values."""
    conditions: list[str] = ["r.number < ?", "r.number >= ?"]
    values: list[Any] = [query.before or 2**62, first]
    for column, wanted in (("r.account_id", query.account_id), ("r.tier", query.tier), ("r.kind", query.kind)):
        if wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    for index, label in enumerate(query.labels):
        other = "EXISTS (SELECT 1 FROM label o WHERE o.name = ? AND o.value = ? AND o.number = r.number)"
        conditions.append(other if index else "l.name = ? AND l.value = ?")
        values += label
    if query.reason:
        conditions.append("j.failure_reason = ?")
        values.append(query.reason)
    if query.dead:
        conditions.append("j.state = 5 AND j.redriven_by = ''")
    elif states:
        conditions.append(f"j.state IN ({', '.join(map(str, states))})")
        if min(states) > JobState.SUCCEEDED:
            # Said again for the index of jobs that ended badly, which SQLite takes only when it sees this.
            conditions.append("j.state > 4")
    return conditions, values
