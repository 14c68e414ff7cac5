"""A real service for tests of the runtime: QueueService with three methods that do what the job id says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mezzotint.api.queue.v1 import queue_pb2, queue_pb2_grpc, work_pb2
from mezzotint.runtime import calls, errors
from mezzotint.runtime.server import Server


class EchoQueue(queue_pb2_grpc.QueueServiceServicer):
    """Fails, waits or answers as the request says; records what it saw."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.deadlines: list[float | None] = []

    async def GetJob(self, request: queue_pb2.GetJobRequest, context: Any) -> queue_pb2.GetJobResponse:
        self.deadlines.append(calls.deadline.get())
        if request.job_id == "missing":
            raise errors.JobNotFound("no job missing", metadata={"job_id": "missing"})
        if request.job_id == "cut off":
            raise errors.DependencyUnavailable("the one behind does not answer")
        if request.job_id == "defect":
            raise ValueError("a secret detail")
        if request.job_id == "wait":
            await self._wait()
        return queue_pb2.GetJobResponse(result=request.job_id.encode())

    async def WatchJob(self, request: queue_pb2.WatchJobRequest, context: Any) -> AsyncIterator[queue_pb2.WatchJobResponse]:
        yield queue_pb2.WatchJobResponse()
        if request.job_id == "wait":
            await self._wait()
        raise errors.SequenceAhead("the end")

    async def Work(self, requests: AsyncIterator[work_pb2.WorkRequest], context: Any) -> AsyncIterator[work_pb2.WorkResponse]:
        async for _ in requests:
            yield work_pb2.WorkResponse(welcome=work_pb2.Welcome())

    async def _wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


SERVICE = "mezzotint.api.queue.v1.QueueService"


def register(server: Server, servicer: EchoQueue) -> None:
    """Serve the echo."""
    server.add(queue_pb2_grpc.add_QueueServiceServicer_to_server, servicer)
