"""One picture at a time, from its first step to its last. Kept to be compared with."""

from collections.abc import Iterable

from mezzotint.inference.batching.request_scheduler import RequestScheduler
from mezzotint.inference.batching.scheduler import Ticket


class SerialScheduler(RequestScheduler):
    """See Scheduler."""

    def _company(self, waiting: Iterable[Ticket]) -> list[Ticket]:
        """The first alone."""
        return [next(iter(waiting))]
