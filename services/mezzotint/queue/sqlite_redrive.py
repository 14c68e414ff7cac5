"""A failed job that is done again by another, inside a transaction of the caller's."""

import apsw

from mezzotint.queue.job import JobState
from mezzotint.runtime.errors import JobFinished, JobNotFound


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
