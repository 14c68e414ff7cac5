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
    Two things are not known after a step between acceptance and appointment: a job handed back has forgotten its appointment,
    and one that is admitted late has it converted anew. Their deadlines are then off by the step.
    """

    def __init__(self) -> None:
        # How far the wall clock is ahead of the steady one, the latest last, and the last job accepted by each but the latest.
        self._ahead: list[float] = []
        self._last: list[int] = []
        self._newest = 0

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

    def steady(self, job: Job, wall: float) -> float:
        """When the wall clock, of which `wall` is a moment in the record of a job that was looked at, says so.

        What counts from an appointment is of the wall clock as it is set now.
        """
        accepted_by = -1 if job.not_before else bisect_left(self._last, job.number)
        return wall - self._ahead[accepted_by]
