"""The queue as its operator sees it: directly, with the certificate of the data folder."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from mezzotint.api.queue.v1 import admin_pb2, admin_pb2_grpc, job_pb2, queue_pb2, queue_pb2_grpc
from mezzotint.runtime.calls import call, stream
from mezzotint.runtime.channel import Channel, connect
from mezzotint.runtime.tls import open_identity
from mezzotint_client.plan import SuiteError

DEFAULT_QUEUE_ADDRESS = "127.0.0.1:7403"
PAGE_SIZE = 100
# Ten thousand jobs are redriven by one call.
REDRIVE_SECONDS = 300.0
Item = TypeVar("Item")


class QueueOperator:
    """Calls of an operator. Methods raise what the queue raises, and DependencyUnavailable when it does not answer."""

    def __init__(self, channel: Channel) -> None:
        self._queue = queue_pb2_grpc.QueueServiceStub(channel)
        self._admin = admin_pb2_grpc.QueueAdminServiceStub(channel)

    @classmethod
    @asynccontextmanager
    async def connect(cls, data: Path, address: str = DEFAULT_QUEUE_ADDRESS) -> AsyncIterator["QueueOperator"]:
        """An operator of the installation in `data`. Raises SuiteError when that holds no certificates."""
        if not (data / "tls" / "ca.pem").exists():
            raise SuiteError(f"{data} holds no certificates; name the data folder of the installation with --data")
        async with connect(address, "queue", open_identity(data, "operator", ())) as channel:
            yield cls(channel)

    def watch_stats(self, interval: float) -> AsyncGenerator[queue_pb2.WatchStatsResponse, None]:
        """How full the queue is, every `interval` seconds, from 0.1 to 3,600."""
        request = queue_pb2.WatchStatsRequest()
        request.interval.FromMilliseconds(round(interval * 1000))
        return stream(self._queue.WatchStats, request)

    async def jobs(self, count_max: int, **filters: Any) -> list[job_pb2.Job]:
        """Jobs, newest first; `filters` are fields of ListJobsRequest."""

        async def page(token: str) -> tuple[Sequence[job_pb2.Job], str]:
            request = queue_pb2.ListJobsRequest(page_size=min(PAGE_SIZE, count_max), page_token=token, **filters)
            response = await call(self._queue.ListJobs, request)
            return response.jobs, response.next_page_token

        return await _pages(page, count_max)

    async def job(self, job_id: str) -> queue_pb2.GetJobResponse:
        """One job and its result."""
        return await call(self._queue.GetJob, queue_pb2.GetJobRequest(job_id=job_id))

    async def dead(self, count_max: int, tier: str, reason: str) -> list[admin_pb2.DeadJob]:
        """Failed jobs that were not redriven, newest first."""

        async def page(token: str) -> tuple[Sequence[admin_pb2.DeadJob], str]:
            size = min(PAGE_SIZE, count_max)
            request = admin_pb2.ListDeadJobsRequest(tier=tier, reason=reason, page_size=size, page_token=token)
            response = await call(self._admin.ListDeadJobs, request)
            return response.jobs, response.next_page_token

        return await _pages(page, count_max)

    async def redrive(self, job_ids: Sequence[str], **fields: Any) -> admin_pb2.RedriveJobsResponse:
        """Have failed jobs done again; `fields` are those of RedriveJobsRequest."""
        request = admin_pb2.RedriveJobsRequest(job_ids=job_ids, **fields)
        return await call(self._admin.RedriveJobs, request, timeout=REDRIVE_SECONDS)

    async def pause(self, tier: str) -> None:
        """Stop handing out a tier's jobs."""
        await call(self._admin.PauseTier, admin_pb2.PauseTierRequest(tier=tier))

    async def resume(self, tier: str) -> None:
        """Hand out a tier's jobs again."""
        await call(self._admin.ResumeTier, admin_pb2.ResumeTierRequest(tier=tier))

    async def workers(self) -> list[admin_pb2.Worker]:
        """The connected workers, by id."""

        async def page(token: str) -> tuple[Sequence[admin_pb2.Worker], str]:
            response = await call(self._admin.ListWorkers, admin_pb2.ListWorkersRequest(page_size=PAGE_SIZE, page_token=token))
            return response.workers, response.next_page_token

        return await _pages(page, None)

    async def drain(self, worker_ids: Sequence[str]) -> int:
        """Tell workers, or all when none is named, to finish and close their streams; gives how many were told."""
        return (await call(self._admin.DrainWorkers, admin_pb2.DrainWorkersRequest(worker_ids=worker_ids))).workers

    async def reload_policy(self) -> admin_pb2.ReloadPolicyResponse:
        """Have the policy file read again."""
        return await call(self._admin.ReloadPolicy, admin_pb2.ReloadPolicyRequest())


async def _pages(page: Callable[[str], Any], count_max: int | None) -> list[Any]:
    """The items of as many pages as it takes."""
    items: list[Any] = []
    token = ""
    while count_max is None or len(items) < count_max:
        found, token = await page(token)
        items += found
        if not token:
            break
    return items[:count_max]
