"""Takes jobs from the queue as slots come free, over one stream that is opened again whenever it breaks.

Jobs live longer than streams: while the queue is away they are drawn on, and on the next stream the worker names those it holds
and repeats every ending that was not acknowledged.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.inference import metrics
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.work.held import HeldJobs
from mezzotint.inference.work.job import HeldJob
from mezzotint.inference.work.stream import WorkStream
from mezzotint.inference.work.urgency import urgent
from mezzotint.runtime import logging
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import MezzotintError

if TYPE_CHECKING:
    from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceAsyncStub

log = logging.get(__name__)
KIND = "image.generate"
# Waits between two streams double from the least to the most, and are shortened at random by up to half.
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.1, 2.0
# However often the queue wants heartbeats, they come no more often than this.
HEARTBEAT_SECONDS_MIN = 0.02
# At the end of a wind-down, kept for the queue's answers to what is handed back.
SETTLE_SECONDS = 1.0


class Worker:
    """One worker of the queue. `run` until cancelled; `drain` before that to lose no work.

    `priorities` are those of tiers, if pictures of the better ones may take the slots of others.
    """

    def __init__(
        self,
        stub: QueueServiceAsyncStub,
        worker_id: str,
        painter: Painter,
        blobs: Blobs,
        capacity: Capacity,
        clock: Clock,
        priorities: Mapping[str, int] | None = None,
    ) -> None:
        self._stub = stub
        self._id = worker_id
        self._painter = painter
        self._blobs = blobs
        self._capacity = capacity
        self._clock = clock
        self._priorities = priorities or {}
        self._held = HeldJobs()
        self._stream: WorkStream | None = None
        self._stopping = self._stopped = False
        self._backoff = BACKOFF_SECONDS_MIN
        capacity.watch(self._grant)

    async def run(self, drain_seconds: float) -> None:
        """Take work until cancelled or drained. The queue's Drain gives what is held `drain_seconds` to be finished."""
        while not self._stopped:
            try:
                await self._work(drain_seconds)
            except MezzotintError as error:
                log.warning("no stream to the queue", reason=str(error), held=len(self._held), retry_in=self._backoff)
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))  # noqa: S311  # spreads reconnects; no secret
            self._backoff = min(2 * self._backoff, BACKOFF_SECONDS_MAX)

    async def drain(self, seconds: float) -> None:
        """Take no more work, finish what is held within `seconds` or hand it back, and leave the queue."""
        self._stopping = True
        await self._wind_down(seconds)
        self._stopped = True

    async def _work(self, drain_seconds: float) -> None:
        """One stream, from Hello to its end. Raises what ended it when it was not its own end."""
        stream = WorkStream()
        hello = work_pb2.Hello(worker_id=self._id, kinds=[KIND], held=self._held.refs(), slots=self._capacity.slots)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside: list[asyncio.Task[None]] = []
                async with aclosing(stream.open(self._stub, hello)) as responses:
                    async for response in responses:
                        beside += self._handle(stream, response, tasks, drain_seconds)
                for task in beside:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._stream = None

    def _handle(
        self, stream: WorkStream, response: work_pb2.WorkResponse, tasks: asyncio.TaskGroup, drain_seconds: float
    ) -> list[asyncio.Task[None]]:
        """Do what the queue says; returns what goes on beside the stream from now on."""
        match response.WhichOneof("message"):
            case "welcome":
                self._welcome(stream, response.welcome)
                return [tasks.create_task(self._beat(stream, response.welcome))]
            case "drain":
                stream.draining, self._backoff = True, BACKOFF_SECONDS_MAX
                return [tasks.create_task(self._wind_down(drain_seconds))]
            case "leases":
                for lease in response.leases.leases:
                    self._take(lease)
                self._grant()
            case "cancel":
                self._held.drop(response.cancel.lease, "cancelled")
            case "settled":
                self._held.settle(response.settled)
            case other:
                log.warning("the queue sent a message this worker does not know; it is passed over", message_kind=other)
        return []

    def _welcome(self, stream: WorkStream, welcome: work_pb2.Welcome) -> None:
        """Drop what is not ours any more, repeat endings that were not acknowledged, and ask for work."""
        self._held.keep_only(welcome.held)
        log.info("the queue welcomed this worker", worker_id=self._id, held=len(self._held))
        self._stream, self._backoff = stream, BACKOFF_SECONDS_MIN
        stream.takes_urgent = welcome.takes_urgent
        for job in self._held:
            if job.outcome is not None:
                stream.end(job.outcome)
        self._grant()

    async def _beat(self, stream: WorkStream, welcome: work_pb2.Welcome) -> None:
        """Send heartbeats, and ask for work that a missed change would not have asked for."""
        interval = max(HEARTBEAT_SECONDS_MIN, welcome.heartbeat_interval.ToNanoseconds() / 1e9)
        while True:
            await asyncio.sleep(interval)
            stream.heartbeat(self._held.refs())
            self._grant()

    def _take(self, lease: work_pb2.Lease) -> None:
        """Begin a leased job."""
        stream = self._stream
        assert stream is not None, "a lease came without a stream"
        stream.leased(urgent=lease.urgent)
        waited = self._clock.now() - lease.job.created_at.ToNanoseconds() / 1e9
        metrics.QUEUE_WAIT_SECONDS.labels(lease.job.tier).observe(max(0.0, waited))
        job = HeldJob(lease, self._blobs, self._report, self._ended)
        self._held.add(job)
        job.start(self._painter)
        if self._stopping or stream.draining:
            job.hand_back()

    def _report(self, progress: work_pb2.ProgressReport) -> None:
        """Pass progress on while there is a stream; it is not kept for the next one."""
        if self._stream is not None:
            self._stream.report(progress)

    def _ended(self, job: HeldJob) -> None:
        """Tell the queue how a job ended, now or on the next stream."""
        if self._stream is not None and job.outcome is not None:
            self._stream.end(job.outcome)

    def _grant(self) -> None:
        """Ask for as many jobs as could begin at once, and for urgent ones that others could make way for."""
        if self._stream is not None and not self._stopping and not self._stream.draining:
            self._stream.grant(self._capacity.free - self._stream.credits)
            standing = () if self._capacity.behind else (job.standing for job in self._held)
            self._stream.urge(*urgent(standing, self._capacity.over, self._priorities))

    async def _wind_down(self, seconds: float) -> None:
        """Hand back what has not begun, finish the rest in `seconds` or hand it back too, and end the stream."""
        for job in self._held:
            if not job.touched:
                job.hand_back()
        if not await self._held.empty_within(max(0.0, seconds - SETTLE_SECONDS)):
            for job in self._held:
                job.hand_back()
            await self._held.empty_within(SETTLE_SECONDS)
        if self._stream is not None:
            self._stream.close()
