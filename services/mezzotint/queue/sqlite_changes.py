"""What the SQLite engine does to its tables, many jobs at once, inside a transaction of the caller's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw

from mezzotint.queue import sqlite_rows
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.sqlite_rows import Row
from mezzotint.queue.sqlite_schema import FINISHED_JOBS, HOT_JOBS, failure_columns, job_of, labels_column

MOVE = (
    "UPDATE job SET state = v.column3, sequence = v.column2 + 1, attempt = v.column4, token = v.column5, worker_id = v.column6,"
    " not_before = v.column7, started_at = v.column8 FROM ({rows}) v WHERE number = v.column1 AND sequence = v.column2"
)
LEAVE = "DELETE FROM job WHERE (number, sequence) IN ({rows})"
RESULT = "UPDATE body SET payload = x'', result = v.column2 FROM ({rows}) v WHERE number = v.column1"
PAYLOAD = "SELECT payload FROM body WHERE number = ?"


class Entry(NamedTuple):
    """A new job: its record, what was asked for, its fingerprint, and its first event."""

    job: Job
    new: NewJob
    fingerprint: bytes
    event: JobEvent


def find(connection: apsw.Connection, number: int) -> Job:
    """A job that is kept, as it stands."""
    for select in (HOT_JOBS, FINISHED_JOBS):
        for row in connection.execute(f"{select} WHERE r.number = ?", (number,)):
            return job_of(row)
    raise AssertionError(f"job {number} is in the registry and nowhere else")


def insert(connection: apsw.Connection, entries: Sequence[Entry]) -> None:
    """New jobs."""
    for table, rows in rows_of(entries).items():
        sqlite_rows.write(connection, f"INSERT INTO {table} {{rows}}", rows)


def rows_of(entries: Sequence[Entry]) -> dict[str, list[Row]]:
    """The rows of new jobs, by table."""
    return {
        "registry": [_fixed(entry) for entry in entries],
        "label": [(*label, entry.job.number) for entry in entries for label in entry.job.labels],
        "job": [(entry.job.number, *_moving(entry.job)) for entry in entries],
        "body": [(entry.job.number, entry.new.payload, None) for entry in entries],
        "event": [_event(entry.job.number, entry.event) for entry in entries],
    }


def move(connection: apsw.Connection, changes: Sequence[Transition]) -> None:
    """Jobs go on, not to their ends."""
    rows = []
    for change in changes:
        state, sequence, *others = _moving(change.job)
        rows.append((change.job.number, sequence - 1, state, *others))
    changed = sqlite_rows.write(connection, MOVE, rows)
    assert changed == len(changes), "a job was changed from a record that is not its own"
    _record(connection, changes)


def payloads(connection: apsw.Connection, changes: Sequence[Transition]) -> list[bytes]:
    """What the jobs are to do, each."""
    return sqlite_rows.read_each(connection, PAYLOAD, [change.job.number for change in changes])


def finish(connection: apsw.Connection, changes: Sequence[Transition]) -> None:
    """Jobs end and move out of the hot table."""
    changed = sqlite_rows.write(connection, LEAVE, [(change.job.number, change.job.sequence - 1) for change in changes])
    assert changed == len(changes), "a job was changed from a record that is not its own"
    sqlite_rows.write(connection, "INSERT INTO finished {rows}", [_ended(change.job) for change in changes])
    results = [(change.job.number, change.event.result) for change in changes if change.job.state is JobState.SUCCEEDED]
    sqlite_rows.write(connection, RESULT, results)
    _record(connection, changes)


def _record(connection: apsw.Connection, changes: Sequence[Transition]) -> None:
    """What happened."""
    rows = [_event(change.job.number, change.event) for change in changes]
    sqlite_rows.write(connection, "INSERT INTO event {rows}", rows)


def _fixed(entry: Entry) -> Row:
    """A row of the registry."""
    job = entry.job
    names = (job.number, job.job_id, job.account_id, entry.new.request_id, entry.fingerprint, job.tier, job.kind)
    return (*names, job.cost_ms, job.attempts_max, job.created_at, job.expires_at, labels_column(job.labels))


def _event(number: int, event: JobEvent) -> Row:
    """One event of a job."""
    columns = (number, event.sequence, event.at, int(event.state), event.attempt, event.worker_id)
    return columns + failure_columns(event.failure)


def _ended(job: Job) -> Row:
    """A finished job."""
    return (job.number, *_moving(job), job.finished_at, *failure_columns(job.failure), job.redriven_by)


def _moving(job: Job) -> tuple[Any, ...]:
    """The columns that change, in the order of the tables."""
    return (int(job.state), job.sequence, job.attempt, job.token, job.worker_id, job.not_before, job.started_at)
