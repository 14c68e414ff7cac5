"""QueueAdminService over gRPC: decode, delegate, encode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from mezzotint.api.queue.v1 import admin_pb2, admin_pb2_grpc
from mezzotint.queue.admin_encoding import dead_message, worker_message
from mezzotint.queue.encoding import timestamp
from mezzotint.queue.operations import Operations
from mezzotint.queue.pauses import Pauses
from mezzotint.queue.redrive import Redriver

Context = grpc.aio.ServicerContext[Any, Any]
Reload = Callable[[], Awaitable[tuple[list[str], bool]]]
PAGE_SIZE = 50
REDRIVES_PER_SECOND = 10.0


class QueueAdminService(admin_pb2_grpc.QueueAdminServiceServicer):
    """The contract's QueueAdminService. `reload` reads the policy again: the tiers, and whether it differed."""

    def __init__(self, operations: Operations, pauses: Pauses, redriver: Redriver, reload: Reload) -> None:
        self._operations = operations
        self._pauses = pauses
        self._redriver = redriver
        self._reload = reload

    async def PauseTier(self, request: admin_pb2.PauseTierRequest, context: Context) -> admin_pb2.PauseTierResponse:
        """Stop a tier."""
        await self._pauses.pause(request.tier)
        return admin_pb2.PauseTierResponse()

    async def ResumeTier(self, request: admin_pb2.ResumeTierRequest, context: Context) -> admin_pb2.ResumeTierResponse:
        """Let a tier go on."""
        await self._pauses.resume(request.tier)
        return admin_pb2.ResumeTierResponse()

    async def DrainWorkers(self, request: admin_pb2.DrainWorkersRequest, context: Context) -> admin_pb2.DrainWorkersResponse:
        """Tell workers to stop."""
        return admin_pb2.DrainWorkersResponse(workers=self._operations.drain(request.worker_ids))

    async def ListWorkers(self, request: admin_pb2.ListWorkersRequest, context: Context) -> admin_pb2.ListWorkersResponse:
        """A page of connected workers."""
        workers, token = self._operations.workers(request.page_size or PAGE_SIZE, request.page_token)
        return admin_pb2.ListWorkersResponse(workers=map(worker_message, workers), next_page_token=token)

    async def ListDeadJobs(self, request: admin_pb2.ListDeadJobsRequest, context: Context) -> admin_pb2.ListDeadJobsResponse:
        """A page of failed jobs."""
        size = request.page_size or PAGE_SIZE
        jobs, token = await self._operations.dead(request.tier, request.reason, size, request.page_token)
        return admin_pb2.ListDeadJobsResponse(jobs=map(dead_message, jobs), next_page_token=token)

    async def RedriveJobs(self, request: admin_pb2.RedriveJobsRequest, context: Context) -> admin_pb2.RedriveJobsResponse:
        """Have failed jobs done again."""
        per_second = request.per_second or REDRIVES_PER_SECOND
        redriven = await self._redriver.redrive(request.job_ids, request.tier, request.reason, per_second)
        last = redriven.last_not_before
        return admin_pb2.RedriveJobsResponse(redriven=redriven.jobs, last_not_before=None if last is None else timestamp(last))

    async def ReloadPolicy(self, request: admin_pb2.ReloadPolicyRequest, context: Context) -> admin_pb2.ReloadPolicyResponse:
        """Read the policy again."""
        tiers, changed = await self._reload()
        return admin_pb2.ReloadPolicyResponse(tiers=tiers, changed=changed)
