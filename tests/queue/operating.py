"""A running queue as its operator sees it, and dead jobs to look after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mezzotint.api.queue.v1 import admin_pb2, admin_pb2_grpc, job_pb2, queue_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, Worker, queue_server
from tests.support.serving import connect


class Operator:
    """Calls of an operator."""

    def __init__(self, caller: Caller, authority: Authority) -> None:
        self.channel = connect(authority, caller.port, "queue", identity="operator")
        self.admin = admin_pb2_grpc.QueueAdminServiceStub(self.channel)

    async def pause(self, tier: str) -> None:
        """Pause a tier."""
        await self.admin.PauseTier(admin_pb2.PauseTierRequest(tier=tier))

    async def resume(self, tier: str) -> None:
        """Resume a tier."""
        await self.admin.ResumeTier(admin_pb2.ResumeTierRequest(tier=tier))

    async def drain(self, *worker_ids: str) -> int:
        """Drain workers; gives how many were told."""
        return (await self.admin.DrainWorkers(admin_pb2.DrainWorkersRequest(worker_ids=worker_ids))).workers

    async def workers(self, **fields: Any) -> admin_pb2.ListWorkersResponse:
        """A page of workers."""
        return await self.admin.ListWorkers(admin_pb2.ListWorkersRequest(**fields))

    async def dead(self, **fields: Any) -> admin_pb2.ListDeadJobsResponse:
        """A page of dead jobs."""
        return await self.admin.ListDeadJobs(admin_pb2.ListDeadJobsRequest(**fields))

    async def redrive(self, *job_ids: str, **fields: Any) -> admin_pb2.RedriveJobsResponse:
        """Redrive jobs."""
        return await self.admin.RedriveJobs(admin_pb2.RedriveJobsRequest(job_ids=job_ids, **fields))

    async def reload(self) -> admin_pb2.ReloadPolicyResponse:
        """Read the policy again."""
        return await self.admin.ReloadPolicy(admin_pb2.ReloadPolicyRequest())


@asynccontextmanager
async def operated(data: Path, authority: Authority, **changes: Any) -> AsyncIterator[tuple[Caller, Operator]]:
    """A running queue, its callers' and its operator's side."""
    async with queue_server(data, authority, **changes) as caller:
        operator = Operator(caller, authority)
        try:
            yield caller, operator
        finally:
            await operator.channel.close()


async def dies(queue: Caller, worker: Worker, request_id: str, reason: str = "JOB_FAILED", **fields: Any) -> job_pb2.Job:
    """A job that a worker fails for good; the worker has said hello, and the job is the only one that waits."""
    job = await queue.enqueue(request_id, **fields)
    await worker.send(credit={"jobs": 1})
    lease = await worker.lease()
    assert lease.ref.job_id == job.job_id
    assert (await worker.fail(lease, job_pb2.FAILURE_CLASS_PERMANENT, reason)).accepted
    return job


async def listed(queue: Caller, **fields: Any) -> list[str]:
    """The ids of a list's first page."""
    page = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(**fields))
    return [job.job_id for job in page.jobs]


async def stats(queue: Caller) -> tuple[queue_pb2.WatchStatsResponse, dict[str, queue_pb2.TierStats]]:
    """The figures of now, and those of the tiers by name."""
    call = queue.stats(60)
    found: queue_pb2.WatchStatsResponse = await call.read()
    call.cancel()
    return found, {tier.tier: tier for tier in found.tiers}
