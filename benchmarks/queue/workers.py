"""A worker that does nothing: it takes leases, completes each at once, and grants the credit again. Runs in its own process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import uvloop

from benchmarks.queue.callers import open_channel, stub_of
from benchmarks.queue.jobs import KIND
from benchmarks.queue.processes import Target
from mezzotint.api.queue.v1 import work_pb2

if TYPE_CHECKING:
    from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceAsyncStub

CREDITS = 1024
# The most the contract allows.
ENDS_A_MESSAGE = 256
HEARTBEAT_SECONDS = 2.0
# With nothing from the queue for so long, something is wrong.
SILENCE_SECONDS_MAX = 60.0
# Payload → when its lease came.
Arrivals = dict[bytes, float]
RESULT = b"." * 100


def complete(target: Target, jobs: int) -> float:
    """Complete `jobs`; gives the moment the last was acknowledged, on the machine's clock."""
    return uvloop.run(_run(target, jobs, {}))


def arrivals(target: Target, jobs: int) -> Arrivals:
    """Complete `jobs`; gives when the lease of each came, by its payload without the padding."""
    seen: Arrivals = {}
    uvloop.run(_run(target, jobs, seen))
    return seen


async def _run(target: Target, jobs: int, seen: Arrivals) -> float:
    async with open_channel(target, "inference") as opened:
        return await _work(stub_of(opened), jobs, seen)


async def _work(stub: QueueServiceAsyncStub, jobs: int, seen: Arrivals) -> float:
    out: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
    out.put_nowait(work_pb2.WorkRequest(hello=work_pb2.Hello(worker_id="worker_bench", kinds=[KIND])))
    out.put_nowait(work_pb2.WorkRequest(credit=work_pb2.Credit(jobs=CREDITS)))
    beating = asyncio.create_task(_beat(out))
    settled = 0
    responses = aiter(stub.Work(_requests(out)))
    while settled < jobs:
        response = await asyncio.wait_for(anext(responses), SILENCE_SECONDS_MAX)
        match response.WhichOneof("message"):
            case "leases":
                now = time.perf_counter()
                leases = response.leases.leases
                seen |= {lease.payload.rstrip(b"."): now for lease in leases}
                done = [work_pb2.Complete(lease=lease.ref, result=RESULT, cost_ms=lease.job.cost_ms) for lease in leases]
                for first in range(0, len(done), ENDS_A_MESSAGE):
                    completions = work_pb2.Completions(completions=done[first : first + ENDS_A_MESSAGE])
                    out.put_nowait(work_pb2.WorkRequest(completions=completions))
                out.put_nowait(work_pb2.WorkRequest(credit=work_pb2.Credit(jobs=len(leases))))
            case "settled":
                refused = [each.reason for each in response.settled.settlements if not each.accepted]
                assert not refused, refused
                settled += len(response.settled.settlements)
    finished = time.perf_counter()
    beating.cancel()
    out.put_nowait(None)
    return finished


async def _beat(out: asyncio.Queue[work_pb2.WorkRequest | None]) -> None:
    """Say now and then that the worker lives; what it was given it has completed at once, so it names nothing."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        out.put_nowait(work_pb2.WorkRequest(heartbeat=work_pb2.Heartbeat()))


async def _requests(out: asyncio.Queue[work_pb2.WorkRequest | None]) -> AsyncIterator[work_pb2.WorkRequest]:
    while (request := await out.get()) is not None:
        yield request
