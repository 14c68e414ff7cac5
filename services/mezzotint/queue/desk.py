"""What callers ask of the queue besides single jobs: streams of new ones, pages, cancellation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from mezzotint.queue import transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.intake import Intake, Outcome
from mezzotint.queue.job import Job, JobState, NewJob
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.paging import page_start, page_token
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import JobFinished, ServerDraining

# Messages of one stream whose jobs are being kept at once.
STREAM_AHEAD_MAX = 4
# Messages whose jobs are being kept, in order; at the end None, or the error that ended the requests.
Outcomes = asyncio.Queue["asyncio.Future[list[Outcome]] | Exception | None"]


class Desk:
    """The side of the queue that callers see. `draining` ends its long streams."""

    def __init__(self, intake: Intake, ledger: Ledger, engine: Engine, clock: Clock, draining: asyncio.Event) -> None:
        self._intake = intake
        self._ledger = ledger
        self._engine = engine
        self._clock = clock
        self._draining = draining

    async def enqueue_all(self, batches: AsyncIterator[Sequence[NewJob]]) -> AsyncIterator[list[Outcome]]:
        """Accept jobs as they come, many at once; the outcomes of each batch are in its order."""
        outcomes: Outcomes = asyncio.Queue(STREAM_AHEAD_MAX)
        taking = asyncio.create_task(self._take_all(batches, outcomes))
        ending = asyncio.create_task(self._end_stream(taking, outcomes))
        try:
            while (outcome := await outcomes.get()) is not None:
                if isinstance(outcome, Exception):
                    raise outcome
                yield await outcome
        finally:
            taking.cancel()
            ending.cancel()

    async def _end_stream(self, taking: asyncio.Task[None], outcomes: Outcomes) -> None:
        """When the server stops: take no more, and end the stream after the jobs that were taken."""
        await self._draining.wait()
        taking.cancel()
        await outcomes.put(ServerDraining("the queue is stopping; send the jobs that were not answered again"))

    async def _take_all(self, batches: AsyncIterator[Sequence[NewJob]], outcomes: Outcomes) -> None:
        end: Exception | None = None
        try:
            async for batch in batches:
                await outcomes.put(self._intake.enqueue_all(batch))
        except Exception as error:  # noqa: BLE001  # whatever ends the requests ends the stream
            end = error
        await outcomes.put(end)

    async def page(self, query: JobQuery, token: str) -> tuple[list[Job], str]:
        """A page of `limit` jobs, newest first, and the token of the next; "" for the last. Raises PageTokenInvalid."""
        size = query.limit
        jobs = await self._engine.search(replace(query, before=page_start(query, token), limit=size + 1))
        return jobs[:size], page_token(query, jobs[size - 1].number) if len(jobs) > size else ""

    async def cancel(self, job_id: str, account_id: str, reason: str) -> Job:
        """Cancel a job; a cancelled one is left as it is. Raises JobNotFound, JobFinished, StorageFull."""
        await self._ledger.get(job_id, account_id)
        try:
            return await self._ledger.change(job_id, lambda job: transitions.cancel(job, reason, self._clock.now()))
        except JobFinished:
            job, _ = await self._ledger.get(job_id)
            if job.state is JobState.CANCELLED:
                return job
            raise
