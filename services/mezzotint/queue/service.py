"""QueueService over gRPC: decode, delegate, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from mezzotint.api.queue.v1 import queue_pb2, queue_pb2_grpc, work_pb2
from mezzotint.queue.admin_encoding import stats_message
from mezzotint.queue.desk import Desk
from mezzotint.queue.encoding import job_message, new_job, sight_message
from mezzotint.queue.engine import Enqueued, JobQuery
from mezzotint.queue.job import JobState
from mezzotint.queue.job_fields import fields_of
from mezzotint.queue.stats import StatsBoard
from mezzotint.queue.work_stream import Floor, WorkStream
from mezzotint.runtime.errors import MezzotintError

Context = grpc.aio.ServicerContext[Any, Any]
PAGE_SIZE = 50


class QueueService(queue_pb2_grpc.QueueServiceServicer):
    """The contract's QueueService."""

    def __init__(self, desk: Desk, floor: Floor, board: StatsBoard) -> None:
        self._desk = desk
        self._board = board
        self._floor = floor

    async def EnqueueJob(self, request: queue_pb2.EnqueueJobRequest, context: Context) -> queue_pb2.EnqueueJobResponse:
        """Accept a job."""
        kept = await self._floor.intake.enqueue(new_job(request.job))
        return queue_pb2.EnqueueJobResponse(job=fields_of(kept.job), replayed=kept.replayed)

    async def EnqueueJobs(
        self, requests: AsyncIterator[queue_pb2.EnqueueJobsRequest], context: Context
    ) -> AsyncIterator[queue_pb2.EnqueueJobsResponse]:
        """Accept many jobs, answered message by message, in order."""
        async for outcomes in self._desk.enqueue_all([new_job(job) for job in request.jobs] async for request in requests):
            yield queue_pb2.EnqueueJobsResponse(outcomes=map(outcome_fields, outcomes))

    async def GetJob(self, request: queue_pb2.GetJobRequest, context: Context) -> queue_pb2.GetJobResponse:
        """One job."""
        job, result = await self._floor.ledger.get(request.job_id, request.account_id)
        return queue_pb2.GetJobResponse(job=job_message(job), result=result)

    async def ListJobs(self, request: queue_pb2.ListJobsRequest, context: Context) -> queue_pb2.ListJobsResponse:
        """A page of jobs."""
        jobs, token = await self._desk.page(query_of(request), request.page_token)
        return queue_pb2.ListJobsResponse(jobs=map(job_message, jobs), next_page_token=token)

    async def CancelJob(self, request: queue_pb2.CancelJobRequest, context: Context) -> queue_pb2.CancelJobResponse:
        """Cancel a job."""
        job = await self._desk.cancel(request.job_id, request.account_id, request.reason)
        return queue_pb2.CancelJobResponse(job=job_message(job))

    async def WatchJob(self, request: queue_pb2.WatchJobRequest, context: Context) -> AsyncIterator[queue_pb2.WatchJobResponse]:
        """What happens to a job."""
        async for sight in self._floor.hub.watch(request.job_id, request.account_id, request.after_sequence):
            yield queue_pb2.WatchJobResponse(event=sight_message(sight))

    async def Work(
        self, requests: AsyncIterator[work_pb2.WorkRequest], context: Context
    ) -> AsyncIterator[work_pb2.WorkResponse]:
        """A worker's stream."""
        stream = WorkStream(self._floor, requests)
        context.add_done_callback(lambda _: stream.abandon())  # type: ignore[arg-type]  # grpc's stubs want a class of their own
        async for response in stream.run():
            yield response

    async def WatchStats(
        self, request: queue_pb2.WatchStatsRequest, context: Context
    ) -> AsyncIterator[queue_pb2.WatchStatsResponse]:
        """How full the queue is."""
        interval = request.interval.ToNanoseconds() / 1e9 if request.HasField("interval") else 1.0
        async for stats in self._board.watch(interval):
            yield stats_message(stats)


def query_of(request: queue_pb2.ListJobsRequest) -> JobQuery:
    """What a list is asked for."""
    return JobQuery(
        account_id=request.account_id,
        states=frozenset(JobState(state) for state in request.states if state),
        before=0,
        limit=request.page_size or PAGE_SIZE,
        tier=request.tier,
        kind=request.kind,
        labels=tuple(sorted(request.labels.items())),
    )


def outcome_fields(outcome: Enqueued | MezzotintError) -> Any:
    """What became of one of many jobs."""
    if isinstance(outcome, Enqueued):
        return {"job": fields_of(outcome.job)}
    return {"refusal": {"reason": outcome.reason, "message": outcome.message}}
