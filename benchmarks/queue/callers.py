"""Those who enqueue: many callers at once, one stream, or a steady pace. Every function runs in a client's process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks.ceilings import echo
from benchmarks.queue.jobs import job
from benchmarks.queue.processes import Target
from benchmarks.queue.rate import Rate
from mezzotint.api.queue.v1 import queue_pb2, queue_pb2_grpc
from mezzotint.runtime import channel
from mezzotint.runtime.tls import load_identity

if TYPE_CHECKING:
    import grpc

    from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceAsyncStub
CALLERS = 64
# The most the contract allows.
JOBS_A_MESSAGE = 256
WARM_PART = 0.25
WORKER_SECONDS_MAX = 30.0


def open_channel(target: Target, identity: str) -> grpc.aio.Channel:
    """A channel that speaks as a service of ours."""
    return channel.connect(target.address, "queue", load_identity(target.data, identity))


def stub_of(opened: grpc.aio.Channel) -> QueueServiceAsyncStub:
    """The queue over a channel."""
    stub: QueueServiceAsyncStub = queue_pb2_grpc.QueueServiceStub(opened)
    return stub


def enqueue_unary(target: Target, seconds: float) -> Rate:
    """EnqueueJob by 64 callers at once, each with its next call as soon as it has its answer."""

    async def run() -> Rate:
        async with open_channel(target, "gateway") as opened:
            return await hammer(stub_of(opened).EnqueueJob, seconds)

    return uvloop.run(run())


def echo_unary(target: Target, seconds: float) -> Rate:
    """The same calls to a server that gives back what it gets."""

    async def run() -> Rate:
        async with open_channel(target, "gateway") as opened:
            call: Any = opened.unary_unary(
                echo.UNARY, queue_pb2.EnqueueJobRequest.SerializeToString, queue_pb2.EnqueueJobRequest.FromString
            )
            return await hammer(call, seconds)

    return uvloop.run(run())


async def hammer(call: Callable[[queue_pb2.EnqueueJobRequest], Awaitable[object]], seconds: float) -> Rate:
    """Calls answered a second, after a warm-up."""
    done, end = 0, time.perf_counter() + seconds * WARM_PART

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call(queue_pb2.EnqueueJobRequest(job=job()))
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    warm, began = done, time.perf_counter()
    end = began + seconds
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return Rate((done - warm) / (time.perf_counter() - began), done)


def enqueue_batch(target: Target, jobs: int) -> Rate:
    """EnqueueJobs, one stream, 256 jobs a message, sent as fast as they are taken."""

    async def run() -> Rate:
        async with open_channel(target, "gateway") as opened:
            began = time.perf_counter()
            await enqueue(stub_of(opened), jobs)
            return Rate(jobs / (time.perf_counter() - began), jobs)

    return uvloop.run(run())


def echo_stream(target: Target, jobs: int) -> Rate:
    """The same messages over one stream of a server that gives each back."""

    async def run() -> Rate:
        async with open_channel(target, "gateway") as opened:
            call: Any = opened.stream_stream(
                echo.STREAM, queue_pb2.EnqueueJobsRequest.SerializeToString, queue_pb2.EnqueueJobsRequest.FromString
            )
            began = time.perf_counter()
            async for _ in call(_requests(jobs)):
                pass
            return Rate(jobs / (time.perf_counter() - began), jobs)

    return uvloop.run(run())


def enqueue_when_worked(target: Target, jobs: int) -> float:
    """Once a worker is there, enqueue `jobs` over one stream; gives the moment of the first, on the machine's clock."""

    async def run() -> float:
        async with open_channel(target, "gateway") as opened:
            stub = stub_of(opened)
            await worker_there(stub)
            began = time.perf_counter()
            await enqueue(stub, jobs)
            return began

    return uvloop.run(run())


async def worker_there(stub: QueueServiceAsyncStub) -> None:
    """Wait until a worker is connected and has credits. Raises TimeoutError."""
    request = queue_pb2.WatchStatsRequest()
    request.interval.FromMilliseconds(100)
    async with asyncio.timeout(WORKER_SECONDS_MAX):
        async for stats in stub.WatchStats(request):
            if stats.credits:
                return


def waiting(target: Target) -> int:
    """How many jobs wait in the queue."""

    async def run() -> int:
        async with open_channel(target, "gateway") as opened:
            async for stats in stub_of(opened).WatchStats(queue_pb2.WatchStatsRequest()):
                return sum(tier.queued for tier in stats.tiers)
        raise AssertionError("the queue tells its figures at once")

    return uvloop.run(run())


async def enqueue(stub: QueueServiceAsyncStub, jobs: int) -> list[str]:
    """Enqueue `jobs` over one stream and wait for every answer; gives their ids."""
    ids = []
    async for response in stub.EnqueueJobs(_requests(jobs)):
        for outcome in response.outcomes:
            assert outcome.WhichOneof("outcome") == "job", outcome.refusal.message
            ids.append(outcome.job.job_id)
    return ids


async def _requests(jobs: int) -> AsyncIterator[queue_pb2.EnqueueJobsRequest]:
    for first in range(0, jobs, JOBS_A_MESSAGE):
        yield queue_pb2.EnqueueJobsRequest(jobs=[job() for _ in range(min(JOBS_A_MESSAGE, jobs - first))])
