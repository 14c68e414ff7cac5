"""The workers that are connected, by their ids."""

from collections import Counter
from collections.abc import Collection

from mezzotint.queue.worker import Worker
from mezzotint.runtime.errors import ProtocolViolation


class Roster:
    """One open stream a worker id."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def join(self, worker: Worker) -> None:
        """A worker opened its stream; an earlier one with its id ends."""
        if earlier := self._workers.get(worker.worker_id):
            earlier.close(ProtocolViolation("another stream with this worker id took over; give each worker an id of its own"))
        self._workers[worker.worker_id] = worker

    def depart(self, worker: Worker) -> bool:
        """A stream is over; False when a later one with its id took over."""
        worker.close()
        if self._workers.get(worker.worker_id) is not worker:
            return False
        del self._workers[worker.worker_id]
        return True

    def get(self, worker_id: str) -> Worker | None:
        """The worker with this id, if it is connected."""
        return self._workers.get(worker_id)

    def all(self) -> Collection[Worker]:
        """Every connected worker."""
        return self._workers.values()

    def idle(self) -> dict[tuple[str, ...], int]:
        """Credits that are not used, by the kinds that their workers take; 0 where all are used."""
        idle: Counter[tuple[str, ...]] = Counter()
        for worker in self._workers.values():
            idle[worker.kinds] += worker.credits if worker.takes_jobs else 0
        return idle

    def kinds(self) -> set[str]:
        """The kinds of job that somebody takes."""
        return {kind for worker in self._workers.values() for kind in worker.kinds}
