"""Callers and workers that send far too much, or take nothing: refused or held up by themselves, in bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import grpc

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.test_restart import process
from tests.queue.wire import Caller, Worker, completing, new_job, refused, within

MIB = 1024 * 1024
# What the server's memory may grow by, whatever it is sent.
GROWTH_BYTES_MAX = 48 * MIB
# As many calls of somebody else without a word of the flood being taken: it is held up.
CALLS_WITHOUT_PROGRESS = 50
# Leases in a heartbeat.
NAMED = 1024


def most_memory(pid: int) -> int:
    """The most bytes that a process has had resident since its start."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


async def said(call: Any, message: Any) -> None:
    """Send a message on a stream and read what comes."""
    with contextlib.suppress(asyncio.InvalidStateError):  # the stream ended while it was sent; reading tells with what
        await call.write(message)
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_messages_of_100_mb_are_refused_in_little_memory(data: Path, authority: Authority) -> None:
    """Ensures that every kind of call names the limit, that memory hardly grows, and that the worker's lease lives on."""
    huge = bytes(100 * MIB)
    async with process(data, authority, grace=60.0, lease=60.0) as (queue, server):
        await queue.enqueue("r1")
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        before = most_memory(server.pid)
        many: Any = queue.stub.EnqueueJobs()
        await many.write(queue_pb2.EnqueueJobsRequest(jobs=[new_job("r2")]))
        assert (await within(many.read())).outcomes[0].HasField("job")
        done = completing(work_pb2.Complete(lease=lease.ref, result=huge))
        for call in (
            queue.enqueue("r3", payload=huge),
            said(many, queue_pb2.EnqueueJobsRequest(jobs=[new_job("r4", payload=huge)])),
            said(worker.call, work_pb2.WorkRequest(completions=done)),
        ):
            error = await refused(call)
            assert (error.reason, error.metadata, error.retry_after) == ("LIMIT_REACHED", {"limit": "4194304"}, None)
            assert "at most 4,194,304 may be in one; send less" in error.message
        assert most_memory(server.pid) - before < GROWTH_BYTES_MAX
        back = queue.worker()
        assert list((await back.hello(lease.ref)).held) == [lease.ref]
        assert (await back.complete(lease)).accepted
        page = await queue.stub.ListJobs(queue_pb2.ListJobsRequest())
        assert [job.state for job in page.jobs] == [job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_SUCCEEDED]


class Flood:
    """A worker that names leases that it does not have, as fast as it can, and reads nothing until it is told to."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._over = False
        self.sent = 0
        foreign = [work_pb2.LeaseRef(job_id=f"job_{number:060}", fencing_token=1) for number in range(NAMED)]
        self._message = work_pb2.WorkRequest(heartbeat=work_pb2.Heartbeat(held=foreign))
        self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while not self._over:
            await self._worker.call.write(self._message)
            self.sent += 1

    async def held_up(self, other: Caller) -> None:
        """Wait until nothing more is taken from it, while somebody else is answered."""
        still = 0
        while still < CALLS_WITHOUT_PROGRESS:
            before = self.sent
            job = await within(other.enqueue(f"during {before}, {still}", kind="image.none"))
            await within(other.cancel(job.job_id))
            still = still + 1 if self.sent == before else 0
            assert self.sent < 5000, "everything is taken from a worker that reads nothing"

    async def end(self) -> int:
        """Read everything, and say no more: gives how many leases it was told to drop."""
        self._over = True
        reading = asyncio.ensure_future(self._read())
        await within(self._sending)
        await self._worker.call.done_writing()
        return await within(reading)

    async def _read(self) -> int:
        dropped = 0
        while (response := await self._worker.call.read()) is not grpc.aio.EOF:
            dropped += response.WhichOneof("message") == "cancel"
        return dropped


async def waits(queue: Caller, number: int) -> job_pb2.Job | None:
    """A new job, if no worker gets it while the queue answers many calls."""
    job = await queue.enqueue(f"r{number}")
    for _ in range(CALLS_WITHOUT_PROGRESS):
        if (await queue.get(job.job_id)).state != job_pb2.JOB_STATE_QUEUED:
            return None
    return job


async def test_a_worker_that_never_reads_holds_up_itself_alone(data: Path, authority: Authority) -> None:
    """Ensures that it is read no further, that its credits keep no job from another worker, and that it may read at last."""
    async with process(data, authority) as (queue, server):
        deaf, other = queue.worker("deaf"), queue.worker("other")
        await deaf.hello(credit=100)
        before = most_memory(server.pid)
        flood = Flood(deaf)
        await flood.held_up(queue)
        numbers = iter(range(50))
        while not (job := await waits(queue, next(numbers))):
            pass  # it was leased before the last of what the worker said was taken
        assert most_memory(server.pid) - before < GROWTH_BYTES_MAX
        await other.hello(credit=1)
        lease = await other.lease()
        assert lease.ref.job_id == job.job_id
        assert (await other.complete(lease)).accepted
        assert await flood.end() == flood.sent * NAMED
