"""Jobs that are not to be begun before a moment: retries after their backoff, and jobs that were asked for later. Pure."""

from collections.abc import Iterator
from itertools import chain

from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.kinds import Moment

GRAIN_SECONDS = 0.05


class Appointments:
    """Keeps each job until its `not_before`.

    A job that was asked for later waits for the wall clock, however that is set meanwhile; a retry waits for time to pass.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[Job, float]] = {}
        self._later = Deadlines(GRAIN_SECONDS)
        self._retries = Deadlines(GRAIN_SECONDS)

    def add(self, job: Job, moment: Moment) -> None:
        """A job waits for its time."""
        later = job.state is JobState.DEFERRED
        due = job.not_before if later else moment.at + job.not_before - moment.now
        self._jobs[job.job_id] = job, due
        (self._later if later else self._retries).add(due, job.job_id)

    def discard(self, job: Job) -> bool:
        """A job does not wait for its time any more; False when it did not."""
        found = self._jobs.pop(job.job_id, None)
        if found is None:
            return False
        (self._later if job.state is JobState.DEFERRED else self._retries).discard(found[1], job.job_id)
        return True

    def left(self, job: Job, moment: Moment) -> float | None:
        """Seconds until a job's time comes; None when it does not wait for it."""
        found = self._jobs.get(job.job_id)
        if found is None:
            return None
        return max(0.0, found[1] - (moment.now if found[0].state is JobState.DEFERRED else moment.at))

    def due(self, moment: Moment) -> Iterator[Job]:
        """The jobs whose time has come; each is given once."""
        for job_id in chain(self._later.due(moment.now), self._retries.due(moment.at)):
            if found := self._jobs.pop(job_id, None):
                yield found[0]
