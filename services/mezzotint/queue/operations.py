"""What operators do and see: workers, dead jobs, pauses; each method is in force when it returns."""

from collections.abc import Sequence
from dataclasses import dataclass

from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Job
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.paging import page_start, page_token, worker_start, worker_token
from mezzotint.queue.roster import Roster
from mezzotint.queue.store import OperatorStore, Payload
from mezzotint.queue.worker import Worker
from mezzotint.runtime.errors import WorkerNotFound

PREVIEW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class WorkerSight:
    """A connected worker and how many leases it holds."""

    worker: Worker
    leases: int


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A failed job that was not redriven, and the begin of its payload."""

    job: Job
    payload: Payload


class Operations:
    """The workers and the dead jobs, for operators."""

    def __init__(self, roster: Roster, leases: LeaseTable, engine: Engine, store: OperatorStore) -> None:
        self._roster = roster
        self._leases = leases
        self._engine = engine
        self._store = store

    def workers(self, size: int, token: str) -> tuple[list[WorkerSight], str]:
        """A page of the connected workers by id, and the token of the next; "" for the last. Raises PageTokenInvalid."""
        after = worker_start(token)
        left = sorted((each for each in self._roster.all() if each.worker_id > after), key=lambda each: each.worker_id)
        page = [WorkerSight(each, self._leases.held(each.worker_id)) for each in left[:size]]
        return page, worker_token(page[-1].worker.worker_id) if len(left) > size else ""

    def drain(self, worker_ids: Sequence[str]) -> int:
        """Tell workers, or all when none is named, to stop; gives how many.

        Raises WorkerNotFound, and then nobody was told.
        """
        missing = [worker_id for worker_id in worker_ids if self._roster.get(worker_id) is None]
        if missing:
            raise WorkerNotFound(
                f"no worker {missing[0]!r} is connected; nobody was told to drain", metadata={"worker_id": missing[0]}
            )
        named = [self._roster.get(worker_id) for worker_id in dict.fromkeys(worker_ids)] if worker_ids else self._roster.all()
        workers = [worker for worker in named if worker]
        for worker in workers:
            worker.drain()
        return len(workers)

    async def dead(self, tier: str, reason: str, size: int, token: str) -> tuple[list[DeadJob], str]:
        """A page of dead jobs, newest first, and the token of the next; "" for the last. Raises PageTokenInvalid."""
        start = page_start(JobQuery("", frozenset(), 0, 0, tier=tier, reason=reason, dead=True), token)
        query = JobQuery("", frozenset(), start, size + 1, tier=tier, reason=reason, dead=True)
        jobs = await self._engine.search(query)
        page = jobs[:size]
        payloads = await self._store.payloads([job.job_id for job in page], PREVIEW_BYTES)
        # One that was forgotten between the two looks is left out.
        dead = [DeadJob(job, payload) for job in page if (payload := payloads.get(job.job_id))]
        return dead, page_token(query, page[-1].number) if len(jobs) > size else ""
