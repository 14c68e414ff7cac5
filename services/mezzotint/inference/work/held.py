"""The jobs a worker holds: those under way, and those that ended and are not acknowledged yet."""

import asyncio
from collections.abc import Iterable, Iterator

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.inference import metrics
from mezzotint.inference.work.job import HeldJob
from mezzotint.runtime import logging

log = logging.get(__name__)
Key = tuple[str, int]


class HeldJobs:
    """Jobs by their lease, in the order they came."""

    def __init__(self) -> None:
        self._jobs: dict[Key, HeldJob] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[HeldJob]:
        return iter(list(self._jobs.values()))

    def refs(self) -> list[work_pb2.LeaseRef]:
        """The leases of all of them."""
        return [job.ref for job in self._jobs.values()]

    def add(self, job: HeldJob) -> None:
        """Hold a job; an older lease of the same job is lost then."""
        for other in self:
            if other.ref.job_id == job.ref.job_id:
                self.drop(other.ref, "lost")
        self._jobs[key_of(job.ref)] = job
        self._empty.clear()

    def drop(self, ref: work_pb2.LeaseRef, how: str = "") -> None:
        """Forget a job, and stop it if it is under way. `how` it was lost is counted unless it is empty."""
        job = self._jobs.pop(key_of(ref), None)
        if job is not None:
            job.cancel()
            if how:
                metrics.JOBS.labels(how).inc()
                log.info("job dropped", job_id=ref.job_id, how=how)
        if not self._jobs:
            self._empty.set()

    def settle(self, settled: work_pb2.Settled) -> None:
        """The queue has taken note of endings, or wants nothing of them: the jobs are forgotten either way."""
        for each in settled.settlements:
            if not each.accepted:
                log.warning("the queue refused an ending", job_id=each.lease.job_id, reason=each.reason)
            self.drop(each.lease, "" if each.accepted else "refused")

    def keep_only(self, refs: Iterable[work_pb2.LeaseRef]) -> None:
        """Drop all but these as lost."""
        ours = {key_of(ref) for ref in refs}
        for job in self:
            if key_of(job.ref) not in ours:
                self.drop(job.ref, "lost")

    async def empty_within(self, seconds: float) -> bool:
        """Wait until nothing is held any more; False when it takes longer than `seconds`."""
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except TimeoutError:
            return False
        return True


def key_of(ref: work_pb2.LeaseRef) -> Key:
    """A lease's name as a key."""
    return ref.job_id, ref.fencing_token
