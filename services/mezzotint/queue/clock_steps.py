"""Steps of the wall clock, which may be set while jobs wait. Pure."""

from bisect import bisect_left

from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Moment

# A smaller difference is the wall clock being slowed down or hurried, or two looks that are not quite of one moment.
STEP_SECONDS_MIN = 1.0
# Older steps than so many count as the oldest of them.
STEPS_MAX = 100


class ClockSteps:
    """Tells when the moments of a job's record are on the steady clock: they are of the wall clock that it was accepted by.

    What a job is given, and what it waits, is time that passes; so a step makes nothing too late, and no wait an hour longer.
    A job that was asked for later has its time from a moment of the wall clock, as that was set when the moment came, however
    it is set from then on.
    """

    def __init__(self) -> None:
        # How far the wall clock is ahead of the steady one, the latest last, and the last job accepted by each but the latest.
        self._ahead: list[float] = []
        self._last: list[int] = []
        self._newest = 0
        # Of jobs whose time has come how far it was ahead then, and since when they wait; few jobs have such a time.
        self._come: dict[str, tuple[float, float]] = {}

    def look(self, job: Job, moment: Moment) -> None:
        """A job waits at `moment`; one that was not seen before was accepted then."""
        ahead = moment.now - moment.at
        if not self._ahead:
            self._ahead.append(ahead)
        elif abs(ahead - self._ahead[-1]) > STEP_SECONDS_MIN:
            self._ahead.append(ahead)
            self._last.append(self._newest)
            del self._ahead[:-STEPS_MAX], self._last[: 1 - STEPS_MAX]
        self._newest = max(self._newest, job.number)

    def early(self, job: Job, moment: Moment) -> bool:
        """A job's time has not come, nor had it come before the clock was set back."""
        return job.not_before > moment.now and (job.attempt > 0 or job.job_id not in self._come)

    def come(self, job: Job, moment: Moment) -> None:
        """A job waits for its turn from now on, and not for its time; one that has come for its first attempt stays so."""
        later = job.not_before or job.started_at
        if later and (job.attempt or job.job_id not in self._come):
            self._come[job.job_id] = moment.now - moment.at, moment.at + min(0.0, later - moment.now)

    def forget(self, job: Job) -> None:
        """A job is gone, or waits for another time."""
        self._come.pop(job.job_id, None)

    def deadline(self, job: Job) -> float:
        """When a job that was looked at, and has not begun, is given up."""
        come = self._come.get(job.job_id)
        return job.expires_at - (come[0] if come else self._accepted_by(job))

    def waits_since(self, job: Job) -> float:
        """Since when a job that was looked at could have been started, or from when on it can be."""
        if come := self._come.get(job.job_id):
            return come[1]
        return job.not_before - self._ahead[-1] if job.not_before else job.created_at - self._accepted_by(job)

    def _accepted_by(self, job: Job) -> float:
        return self._ahead[bisect_left(self._last, job.number)]
