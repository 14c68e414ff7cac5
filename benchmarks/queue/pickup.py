"""How long an idle worker waits for a job at a steady pace."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass

import uvloop

from benchmarks.queue import workers
from benchmarks.queue.callers import open_channel, stub_of, worker_there
from benchmarks.queue.jobs import job
from benchmarks.queue.processes import Client, Target
from mezzotint.api.queue.v1 import queue_pb2

PER_S = 500
WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Enqueued:
    """Two moments of one job as its caller saw them, on the machine's clock."""

    sent: float
    acknowledged: float


async def measure(target: Target, caller: Client, worker: Client, seconds: float) -> dict[str, float]:
    """Milliseconds from the acknowledgement, and from the call, to the lease; below zero where the lease was there first."""
    jobs = int(PER_S * (seconds + WARM_SECONDS))
    completing = worker.do(workers.arrivals, target, jobs)
    enqueued, arrived = await asyncio.gather(caller.do(steadily, target, jobs), completing)
    counted = [name for name in enqueued if int(name) >= PER_S * WARM_SECONDS]
    after_ack = sorted((arrived[name] - enqueued[name].acknowledged) * 1e3 for name in counted)
    after_call = sorted((arrived[name] - enqueued[name].sent) * 1e3 for name in counted)
    span = max(each.sent for each in enqueued.values()) - min(each.sent for each in enqueued.values())
    return {
        "pickup_p50_ms": statistics.median(after_ack),
        "pickup_p99_ms": after_ack[int(len(after_ack) * 0.99)],
        "pickup_from_call_p50_ms": statistics.median(after_call),
        "pickup_from_call_p99_ms": after_call[int(len(after_call) * 0.99)],
        "pickup_jobs_per_s": (jobs - 1) / span,
    }


def steadily(target: Target, jobs: int) -> dict[bytes, Enqueued]:
    """Enqueue `jobs` at the pace, whether or not the calls before are answered; gives the moments by payload."""
    return uvloop.run(_steadily(target, jobs))


async def _steadily(target: Target, jobs: int) -> dict[bytes, Enqueued]:
    moments: dict[bytes, Enqueued] = {}
    async with open_channel(target, "gateway") as opened:
        stub = stub_of(opened)
        await worker_there(stub)

        async def call(name: bytes) -> None:
            sent = time.perf_counter()
            await stub.EnqueueJob(queue_pb2.EnqueueJobRequest(job=job(name)))
            moments[name] = Enqueued(sent, time.perf_counter())

        began = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number in range(jobs):
                await asyncio.sleep(max(0.0, began + number / PER_S - time.perf_counter()))
                calls.create_task(call(b"%d" % number))
    return moments
