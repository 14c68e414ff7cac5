"""Jobs that are not to be begun before a moment: retries after their backoff, and jobs that were asked for later. Pure."""

from collections.abc import Iterator

from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.job import Job

GRAIN_SECONDS = 0.05


class Appointments:
    """Keeps each job until its `not_before`."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._moments = Deadlines(GRAIN_SECONDS)

    def add(self, job: Job) -> None:
        """A job waits for its time."""
        self._jobs[job.job_id] = job
        self._moments.add(job.not_before, job.job_id)

    def discard(self, job: Job) -> bool:
        """A job does not wait for its time any more; False when it did not."""
        if not self._jobs.pop(job.job_id, None):
            return False
        self._moments.discard(job.not_before, job.job_id)
        return True

    def due(self, now: float) -> Iterator[Job]:
        """The jobs whose time has come, at `now` in seconds since the epoch; each is given once."""
        for job_id in self._moments.due(now):
            if job := self._jobs.pop(job_id, None):
                yield job
