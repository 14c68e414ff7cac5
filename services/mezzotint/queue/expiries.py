"""When jobs that wait are given up. Pure."""

from mezzotint.queue.clock_steps import ClockSteps
from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.job import Job

GRAIN_SECONDS = 1.0


class Expiries:
    """Keeps the deadlines of jobs that wait, on the steady clock; those that have begun have none."""

    def __init__(self, steps: ClockSteps) -> None:
        self._steps = steps
        self._moments = Deadlines(GRAIN_SECONDS)

    def add(self, job: Job) -> None:
        """A job waits."""
        if not job.attempt:
            self._moments.add(self._steps.deadline(job), job.job_id)

    def discard(self, job: Job) -> None:
        """A job waits no more, or not as it did."""
        self._moments.discard(self._steps.deadline(job), job.job_id)

    def due(self, at: float) -> list[str]:
        """The jobs that should have begun by a steady moment; each is given once."""
        return self._moments.due(at)
