"""Restarts over the wire: nothing accepted is lost, and a job in the hands of a worker is done once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.queue.app import run
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, queue_server, settings, within
from tests.support.clock import ManualClock


@asynccontextmanager
async def process(
    data: Path, authority: Authority, grace: float = 5.0, lease: float = 10.0
) -> AsyncIterator[tuple[Caller, Process]]:
    """A real `python -m mezzotint.queue` on `data`, killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEZZOTINT_")}
    environment |= {"MEZZOTINT_DATA": str(data), "MEZZOTINT_QUEUE_PORT": "0", "MEZZOTINT_QUEUE_METRICS_PORT": "0"}
    environment |= {"MEZZOTINT_QUEUE_GRACE_SECONDS": str(grace), "MEZZOTINT_QUEUE_LEASE_SECONDS": str(lease)}
    environment["MEZZOTINT_QUEUE_TICK_SECONDS"] = "0.02"
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mezzotint.queue", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        caller = Caller(await within(port_of(server)), authority)
        yield caller, server
        await caller.close()
    finally:
        if server.returncode is None:
            server.kill()
        await server.communicate()


async def port_of(server: Process) -> int:
    """The port that the server's log names."""
    assert server.stderr
    async for line in server.stderr:
        if b'"listening"' in line:
            return int(json.loads(line)["address"].rpartition(":")[2])
    raise AssertionError("the queue did not start")


async def kill(server: Process) -> None:
    """kill -9."""
    server.send_signal(signal.SIGKILL)
    await server.wait()


async def test_a_queue_killed_mid_job_lets_the_worker_finish_it(data: Path, authority: Authority) -> None:
    """Ensures that after kill -9 a worker that comes back keeps its lease and completes the job, once."""
    async with process(data, authority) as (queue, server):
        job, waiting = await queue.enqueue("r1"), await queue.enqueue("r2")
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        await kill(server)
    async with process(data, authority) as (queue, _):
        worker = queue.worker()
        assert list((await worker.hello(lease.ref)).held) == [lease.ref]
        assert (await worker.complete(lease, b"picture")).accepted
        assert await queue.history(job.job_id) == ["queued", "started", "succeeded"]
        assert await queue.result(job.job_id) == b"picture"
        assert (await queue.get(waiting.job_id)).state == job_pb2.JOB_STATE_QUEUED
        assert (await queue.enqueue("r1")).job_id == job.job_id


async def test_a_queue_and_its_worker_both_killed_lose_no_job(data: Path, authority: Authority) -> None:
    """Ensures that after the grace a job whose worker did not come back is tried again, and its old result refused."""
    async with process(data, authority) as (queue, server):
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        old = await worker.lease()
        await kill(server)
    async with process(data, authority, grace=0.5) as (queue, server):
        other = queue.worker("w2")
        await other.hello(credit=1)
        lease = await other.lease()
        assert (lease.ref.job_id, lease.job.attempt) == (job.job_id, 2)
        assert not (await queue.worker("w1").hello(old.ref)).held
        assert (await other.complete(lease)).accepted
        await kill(server)
    async with process(data, authority) as (queue, _):
        assert await queue.history(job.job_id) == ["queued", "started", "queued", "started", "succeeded"]


@pytest.mark.parametrize("kills", [4])
async def test_everything_acknowledged_survives_kills(data: Path, authority: Authority, kills: int) -> None:
    """Ensures that however often the queue is killed while it accepts jobs, each one that was acknowledged is there."""
    acknowledged: set[str] = set()
    for round_ in range(kills):
        async with process(data, authority) as (queue, server):

            async def enqueue(number: int, round_: int = round_, queue: Caller = queue) -> None:
                job = await queue.enqueue(f"r{round_}-{number}")
                acknowledged.add(job.job_id)

            calls = [asyncio.ensure_future(enqueue(number)) for number in range(200)]
            await within(asyncio.wait(calls[: 20 + 30 * round_], return_when=asyncio.FIRST_COMPLETED))
            await kill(server)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
    async with queue_server(data, authority) as queue:
        for job_id in acknowledged:
            assert (await queue.get(job_id)).state == job_pb2.JOB_STATE_QUEUED
    assert acknowledged


async def test_an_orderly_restart_keeps_leases_too(data: Path, authority: Authority) -> None:
    """Ensures that a worker that could not finish in the drain time takes its lease to the restarted queue."""
    async with queue_server(data, authority, drain_seconds=0.2) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
    async with queue_server(data, authority) as queue:
        worker = queue.worker()
        assert list((await worker.hello(lease.ref)).held) == [lease.ref]
        assert (await worker.complete(lease)).accepted
        assert (await queue.get(job.job_id)).attempt == 1


async def test_a_retry_waits_for_its_backoff_across_a_restart(data: Path, authority: Authority, clock: ManualClock) -> None:
    """Ensures that a restart gives a job that has just failed no attempt at once, and takes none from it."""
    times = {"backoff_seconds": 60.0, "lease_seconds": 600.0}
    async with queue_server(data, authority, clock, **times) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        assert (await worker.fail(await worker.lease(), job_pb2.FAILURE_CLASS_RETRYABLE)).accepted
        failed = await queue.get(job.job_id)
        assert 30 <= failed.not_before.ToNanoseconds() / 1e9 - clock.now() <= 60
    async with queue_server(data, authority, clock, **times) as queue:
        assert await queue.get(job.job_id) == failed
        worker = queue.worker()
        await worker.hello(credit=2)
        clock.advance(29)
        other = await queue.enqueue("r2")
        assert (await worker.lease()).ref.job_id == other.job_id
        assert await queue.get(job.job_id) == failed
        clock.advance(32)
        assert (await worker.lease()).job.attempt == 2


async def test_the_wait_of_a_job_for_later_begins_at_its_time(data: Path, authority: Authority, clock: ManualClock) -> None:
    """Ensures that jobs whose time came just before a restart do not look as if they had waited since they were asked for."""
    moment = {"seconds": int(clock.now()) + 3600}
    async with queue_server(data, authority, clock) as queue:
        jobs = [await queue.enqueue(f"r{number}", tier="pro", not_before=moment) for number in range(20)]
        clock.advance(3601)
        for job in jobs:
            async for response in queue.watch(job.job_id):
                if response.event.HasField("queued"):
                    break
    async with queue_server(data, authority, clock) as queue:
        worker = queue.worker()
        await worker.hello(credit=20)
        for _ in jobs:
            await worker.lease()
        async for found in queue.stats(0.1):
            if found.paid_wait_p95.ToMilliseconds():
                break
        assert 1000 <= found.paid_wait_p95.ToMilliseconds() <= 2000
        assert found.peak_mode == queue_pb2.PEAK_MODE_NORMAL


async def test_a_second_queue_on_the_same_data_does_not_start(data: Path, authority: Authority) -> None:
    """Ensures that it ends with the reason, and that the first goes on."""
    async with queue_server(data, authority) as queue:
        with pytest.raises(StoreUnavailable, match="in use by another queue server"):
            await run(settings(data), asyncio.Event())
        await queue.enqueue()


async def test_a_failed_store_stops_the_process(data: Path, authority: Authority) -> None:
    """Ensures that a queue that cannot read its store any more serves nothing more and ends with exit code 1."""
    async with process(data, authority) as (queue, server):
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        await worker.complete(await worker.lease())
        path = data / "queue" / "queue.sqlite-wal"
        path.write_bytes(b"\xa5" * path.stat().st_size)
        (data / "queue" / "queue.sqlite").write_bytes(b"\xa5" * 65_536)
        with contextlib.suppress(grpc.RpcError):
            await within(queue.get(job.job_id))
        assert await within(server.wait()) == 1
