"""Every job that is not final, in memory, and those who are told of what happens to them. On the event loop only."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mezzotint.queue.capacity import Capacity
from mezzotint.queue.job import Job, Transition

Listener = Callable[[Sequence[Transition]], None]


class OpenJobs:
    """True to what is kept: changed only by what the engine has kept, and the listeners are told then, each change once.

    `changing` holds what is being kept, by job. Nothing cancels it: a change that has begun comes to its end, whoever waits
    for it.
    """

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.changing: dict[str, asyncio.Future[Any]] = {}
        self.listeners: list[Listener] = []
        self._jobs: dict[str, Job] = {}

    def restore(self, jobs: Iterable[Job]) -> None:
        """Jobs that are there since before the start."""
        for job in jobs:
            self._jobs[job.job_id] = job
            self.capacity.add(job)

    def get(self, job_id: str) -> Job | None:
        """A job that is not final, as it stands."""
        return self._jobs.get(job_id)

    def begin(self, changes: Sequence[Transition]) -> None:
        """New jobs were kept, whose room is taken already."""
        for change in changes:
            self._jobs[change.job.job_id] = change.job
        self._tell(changes)

    def apply(self, change: Transition) -> None:
        """A change of a job was kept."""
        job = change.job
        if change.before:
            self.capacity.remove(change.before)
        self.capacity.add(job)
        if job.state.final:
            del self._jobs[job.job_id]
        else:
            self._jobs[job.job_id] = job
        self._tell((change,))

    def _tell(self, changes: Sequence[Transition]) -> None:
        for listener in self.listeners:
            listener(changes)
