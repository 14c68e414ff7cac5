"""One stream to the queue, from Hello to its end: what is sent, and the count of credits the queue has not used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.inference.pictures.mailbox import Mailbox
from mezzotint.runtime import calls
from mezzotint.runtime.errors import DependencyUnavailable

if TYPE_CHECKING:
    from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceAsyncStub

# The queue must answer Hello within this.
WELCOME_SECONDS_MAX = 10
# From the contract: credits not used yet.
CREDITS_MAX = 1024
# From the contract: tiers that urgent jobs are of.
TIERS_MAX = 64


class WorkStream:
    """A stream of one worker. Sending never waits; unread progress is replaced by newer progress.

    `credits` were granted and are not used; `draining` is set once the queue wants no more of the worker on this stream,
    `takes_urgent` when it understands Urgent.
    """

    def __init__(self) -> None:
        self.credits = 0
        self.draining = False
        self.takes_urgent = False
        # What the queue was told last of urgent jobs, unless it may have used it since.
        self._urgent: tuple[int, tuple[str, ...]] | None = (0, ())
        self._out: Mailbox[work_pb2.WorkRequest] = Mailbox()

    async def open(self, stub: QueueServiceAsyncStub, hello: work_pb2.Hello) -> AsyncGenerator[work_pb2.WorkResponse, None]:
        """Say hello and yield what the queue says, Welcome first, until it ends the stream.

        Raises what the queue raised, and DependencyUnavailable when there is no Welcome.
        """
        self._send(hello=hello)
        try:
            async with aclosing(calls.stream(stub.Work, aiter(self._out))) as responses:
                yield await welcome(responses)
                async for response in responses:
                    yield response
        finally:
            self._out.close()

    def grant(self, jobs: int) -> None:
        """Let the queue send `jobs` more jobs."""
        jobs = min(jobs, CREDITS_MAX - self.credits)
        if jobs > 0:
            self.credits += jobs
            self._send(credit=work_pb2.Credit(jobs=jobs))

    def leased(self, *, urgent: bool) -> None:
        """The queue sent a job: for a credit, or as one of the urgent ones, of which it has to be told again."""
        if urgent:
            self._urgent = None
        else:
            self.credits = max(0, self.credits - 1)

    def urge(self, jobs: int, tiers: tuple[str, ...]) -> None:
        """Let the queue send so many jobs of these tiers besides; said again when it has changed."""
        jobs, tiers = min(jobs, CREDITS_MAX), tiers[:TIERS_MAX]
        if self.takes_urgent and (jobs, tiers) != self._urgent:
            self._urgent = (jobs, tiers)
            self._out.put(work_pb2.WorkRequest(urgent=work_pb2.Urgent(jobs=jobs, tiers=tiers)), replaces="urgent")

    def heartbeat(self, held: Iterable[work_pb2.LeaseRef]) -> None:
        """Say that the worker lives and works on `held`."""
        self._out.put(work_pb2.WorkRequest(heartbeat=work_pb2.Heartbeat(held=held)), replaces="heartbeat")

    def report(self, progress: work_pb2.ProgressReport) -> None:
        """Say how far a job is."""
        which = (progress.lease.job_id, progress.lease.fencing_token, progress.progress.image_index)
        self._out.put(work_pb2.WorkRequest(progress=progress), replaces=None if progress.progress.preview else which)

    def end(self, outcome: work_pb2.WorkRequest) -> None:
        """Say how a job ended."""
        self._out.put(outcome)

    def close(self) -> None:
        """Say nothing more; the queue ends the stream then."""
        self._out.close()

    def _send(self, *, hello: work_pb2.Hello | None = None, credit: work_pb2.Credit | None = None) -> None:
        self._out.put(work_pb2.WorkRequest(hello=hello) if hello else work_pb2.WorkRequest(credit=credit))


async def welcome(responses: AsyncIterator[work_pb2.WorkResponse]) -> work_pb2.WorkResponse:
    """The first thing the queue says. Raises DependencyUnavailable when it is late or not Welcome."""
    try:
        first = await asyncio.wait_for(anext(responses), WELCOME_SECONDS_MAX)
    except TimeoutError as error:
        raise DependencyUnavailable(f"the queue did not answer Hello in {WELCOME_SECONDS_MAX} s") from error
    except StopAsyncIteration as error:
        raise DependencyUnavailable("the queue ended the stream without Welcome") from error
    if first.WhichOneof("message") != "welcome":
        raise DependencyUnavailable("the queue's first message was not Welcome")
    return first
