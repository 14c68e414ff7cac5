"""The promise of a greatest wait: which accounts of a tier have waited for too long."""

import heapq
from collections.abc import Callable, Iterator
from itertools import count

from mezzotint.queue.flows import FRESH, OLD, Flow
from mezzotint.queue.job import Job


class Aging:
    """An account ages once its first job has waited for `seconds` and nothing of the account was started meanwhile.

    So the promise is to each account, and one that sends more than its part gains nothing by it: its first job may be old, but
    it has had others started. One entry an account. `since` tells when a job began to wait.
    """

    def __init__(self, seconds: float | None, since: Callable[[Job], float]) -> None:
        self._seconds = seconds
        self._since = since
        self._order: list[tuple[float, int, Flow]] = []
        self._keys = count(1)

    def watch(self, flow: Flow) -> None:
        """An account has work that may be started."""
        if self._seconds is not None and not flow.watched:
            flow.watched = True
            heapq.heappush(self._order, (self._due(flow, self._seconds), next(self._keys), flow))

    def due(self, now: float) -> Iterator[Flow]:
        """The accounts that have waited for too long; each is given once until it is watched again."""
        while self._order and self._order[0][0] <= now:
            flow = heapq.heappop(self._order)[2]
            flow.watched = False
            if flow.lane not in (FRESH, OLD) or self._seconds is None:
                continue
            if self._due(flow, self._seconds) <= now:
                yield flow
            else:
                self.watch(flow)

    def _due(self, flow: Flow, seconds: float) -> float:
        return max(self._since(flow.waiting.first()), flow.started_at) + seconds


def recorded_since(job: Job) -> float:
    """Since when a job waits by its record alone, in seconds since the epoch."""
    return max(job.created_at, job.not_before) if job.not_before else job.created_at
