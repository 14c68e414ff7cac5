"""What the SQLite engine does to its tables, one function a change, inside a transaction of the caller's."""

from typing import Any

import apsw

from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.sqlite_schema import FINISHED_JOBS, HOT_JOBS, failure_columns, job_of, labels_column, labels_of
from mezzotint.runtime.errors import JobFinished, JobNotFound, RequestIdReused


def find_request(connection: apsw.Connection, new: NewJob) -> Job | None:
    """The job that an earlier request with this id made. Raises RequestIdReused when it asked for something else."""
    key = (new.account_id, new.request_id)
    for number, fingerprint in connection.execute(
        "SELECT number, fingerprint FROM registry WHERE account_id = ? AND request_id = ?", key
    ):
        if fingerprint != new.fingerprint():
            raise RequestIdReused(f"request id {new.request_id!r} was used for another job; choose a new one")
        for select in (HOT_JOBS, FINISHED_JOBS):
            for row in connection.execute(f"{select} WHERE r.number = ?", (number,)):
                return job_of(row)
    return None


def insert(connection: apsw.Connection, job: Job, new: NewJob, event: JobEvent) -> None:
    """A new job."""
    fixed = (job.number, job.job_id, job.account_id, new.request_id, new.fingerprint(), job.tier, job.kind)
    numbers = (job.cost_ms, job.attempts_max, job.created_at, job.expires_at)
    labels = labels_column(job.labels)
    connection.execute("INSERT INTO registry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*fixed, *numbers, labels))
    for name, value in job.labels:
        connection.execute("INSERT INTO label VALUES (?, ?, ?)", (name, value, job.number))
    connection.execute("INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (job.number, *_moving(job)))
    connection.execute("INSERT INTO body VALUES (?, ?, NULL)", (job.number, new.payload))
    _record(connection, job.number, event)


def require_dead(connection: apsw.Connection, job_id: str) -> None:
    """Raises JobNotFound, JobFinished unless the job has failed and was not redriven."""
    found = connection.execute(
        "SELECT j.state, j.redriven_by FROM registry r JOIN finished j USING (number) WHERE r.job_id = ?", (job_id,)
    ).fetchall()
    if not found:
        raise JobNotFound(f"there is no finished job {job_id}")
    if found != [(int(JobState.FAILED), "")]:
        raise JobFinished(f"job {job_id} has not failed, or was redriven before")


def mark_redriven(connection: apsw.Connection, job_id: str, redriven_by: str) -> None:
    """A failed job is done again by another."""
    connection.execute(
        "UPDATE finished SET redriven_by = ? WHERE number = (SELECT number FROM registry WHERE job_id = ?)",
        (redriven_by, job_id),
    )


def move(connection: apsw.Connection, change: Transition) -> None:
    """A job goes on, not to its end."""
    job = change.job
    connection.execute(
        "UPDATE job SET state = ?, sequence = ?, attempt = ?, token = ?, worker_id = ?, not_before = ?, started_at = ?"
        " WHERE number = ? AND sequence = ?",
        (*_moving(job), job.number, job.sequence - 1),
    )
    assert connection.changes() == 1, f"{job.job_id} was changed from a record that is not its own"
    _record(connection, job.number, change.event)


def finish(connection: apsw.Connection, change: Transition) -> None:
    """A job ends and moves out of the hot table."""
    job = change.job
    connection.execute("DELETE FROM job WHERE number = ? AND sequence = ?", (job.number, job.sequence - 1))
    assert connection.changes() == 1, f"{job.job_id} was changed from a record that is not its own"
    ending = (job.finished_at, *failure_columns(job.failure))
    columns = (job.number, *_moving(job), *ending, job.redriven_by)
    connection.execute("INSERT INTO finished VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns)
    if job.state is JobState.SUCCEEDED:
        connection.execute("UPDATE body SET payload = x'', result = ? WHERE number = ?", (change.event.result, job.number))
    _record(connection, job.number, change.event)


def _record(connection: apsw.Connection, number: int, event: JobEvent) -> None:
    """One event of a job."""
    columns = (number, event.sequence, event.at, int(event.state), event.attempt, event.worker_id)
    connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", columns + failure_columns(event.failure))


def _moving(job: Job) -> tuple[Any, ...]:
    """The columns that change, in the order of the tables."""
    return (int(job.state), job.sequence, job.attempt, job.token, job.worker_id, job.not_before, job.started_at)


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
