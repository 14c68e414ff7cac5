"""Generations as the queue has them: accepted, watched through its restarts, cancelled, looked up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc
from mezzotint.gateway.peers import Peer
from mezzotint.runtime import logging
from mezzotint.runtime.channel import Channel
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import DependencyUnavailable

log = logging.get(__name__)
KIND = "image.generate"
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.05, 2.0
# A watcher is told nothing for this long while the queue is away; then the call fails.
GAP_SECONDS_MAX = 60.0
FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Jobs:
    """The queue's jobs of one kind, always of one account."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._peer = Peer("queue", channel)
        self._stub = queue_pb2_grpc.QueueServiceStub(channel)
        self._clock = clock

    async def enqueue(self, job: queue_pb2.NewJob) -> tuple[job_pb2.Job, bool]:
        """The accepted job, which is on disk, and whether an earlier call had it accepted."""
        response = await self._peer.call(self._stub.EnqueueJob, queue_pb2.EnqueueJobRequest(job=job))
        return response.job, response.replayed

    async def watch(self, job_id: str, account_id: str) -> AsyncGenerator[job_pb2.JobEvent, None]:
        """The job's events from the first to the final one. A broken stream is taken up again from the last sequence seen.

        Raises JobNotFound, and DependencyUnavailable when the queue stays away for 60 s.
        """
        sequence, heard_at, backoff = 0, self._clock.monotonic(), BACKOFF_SECONDS_MIN
        while True:
            request = queue_pb2.WatchJobRequest(job_id=job_id, account_id=account_id, after_sequence=sequence)
            try:
                async with aclosing(self._peer.stream(self._stub.WatchJob, request)) as responses:
                    async for response in responses:
                        event = response.event
                        sequence, heard_at, backoff = event.sequence, self._clock.monotonic(), BACKOFF_SECONDS_MIN
                        yield event
                        if event.WhichOneof("event") in FINAL:
                            return
            except DependencyUnavailable:
                if self._clock.monotonic() - heard_at > GAP_SECONDS_MAX:
                    raise
            log.info("watch is taken up again", job_id=job_id, after_sequence=sequence)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, not a secret
            backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)

    async def cancel(self, job_id: str, account_id: str, reason: str) -> job_pb2.Job:
        """The job, cancelled. Raises JobNotFound, JobFinished."""
        request = queue_pb2.CancelJobRequest(job_id=job_id, account_id=account_id, reason=reason)
        return (await self._peer.call(self._stub.CancelJob, request)).job

    async def get(self, job_id: str, account_id: str) -> queue_pb2.GetJobResponse:
        """The job and its result. Raises JobNotFound."""
        return await self._peer.call(self._stub.GetJob, queue_pb2.GetJobRequest(job_id=job_id, account_id=account_id))

    async def list(self, account_id: str, page_size: int, page_token: str) -> queue_pb2.ListJobsResponse:
        """A page of the account's jobs, newest first. Raises PageTokenInvalid."""
        request = queue_pb2.ListJobsRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        return await self._peer.call(self._stub.ListJobs, request)
