"""The waiting jobs of one account, in order, each with its tag; small, as there may be a million of them. Pure."""

from array import array
from bisect import bisect_left

from mezzotint.queue.job import Job

# Places of jobs that are gone are cleared out when there are this many of them and as many as there are others.
GONE_MAX = 32


def number_of(job: Job | None) -> int:
    """The place of a job that is not gone in the order of acceptance."""
    assert job, "only the front of a line is gone"
    return job.number


class AccountLine:
    """Jobs are added at the end or where they were before, taken from the front in constant time, and found in O(log n).

    They stand in the order of acceptance but for those that were deferred until their time and came out of it; these few are
    looked for one by one.
    """

    __slots__ = ("_gone", "_jobs", "_tags")

    def __init__(self) -> None:
        self._jobs: list[Job | None] = []
        self._tags = array("q")
        # Places at the front whose jobs were taken.
        self._gone = 0

    def __len__(self) -> int:
        return len(self._jobs) - self._gone

    def add(self, job: Job, tag: int, *, front: bool = False) -> None:
        """A job waits behind all others, or before those that were accepted later."""
        if not front:
            self._jobs.append(job)
            self._tags.append(tag)
            return
        place = bisect_left(self._jobs, job.number, self._gone, key=number_of)
        if place == self._gone > 0:
            self._gone -= 1
            self._jobs[self._gone], self._tags[self._gone] = job, tag
        else:
            self._jobs.insert(place, job)
            self._tags.insert(place, tag)

    def first(self) -> Job:
        """The job at the front; there must be one."""
        job = self._jobs[self._gone]
        assert job, "the front of a line is not a job that is gone"
        return job

    def take(self) -> tuple[Job, int]:
        """The job at the front, which waits no more, and its tag; there must be one."""
        job, tag = self.first(), self._tags[self._gone]
        self._jobs[self._gone] = None
        self._gone += 1
        if self._gone >= GONE_MAX and self._gone >= len(self):
            del self._jobs[: self._gone], self._tags[: self._gone]
            self._gone = 0
        return job, tag

    def remove(self, job: Job) -> int | None:
        """A job waits no more: gives its tag; None when it did not wait."""
        place = self._place(job)
        if place is None:
            return None
        del self._jobs[place]
        return self._tags.pop(place)

    def tag(self, job: Job) -> int | None:
        """The tag of a job; None when it does not wait."""
        place = self._place(job)
        return None if place is None else self._tags[place]

    def _place(self, job: Job) -> int | None:
        jobs = self._jobs
        place = bisect_left(jobs, job.number, self._gone, key=number_of)
        if place < len(jobs) and (found := jobs[place]) and found.job_id == job.job_id:
            return place
        others = (at for at in range(self._gone, len(jobs)) if (found := jobs[at]) and found.job_id == job.job_id)
        return next(others, None)
