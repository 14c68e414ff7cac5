"""The wall clock is set forward or back while the queue is down: nothing expires, nothing is lost, no lease ends by it."""

from pathlib import Path

import pytest

from mezzotint.api.queue.v1 import job_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.wire import queue_server
from tests.support.clock import ManualClock


@pytest.mark.parametrize("step", [3600, -3600])
async def test_a_step_of_the_clock_across_a_restart_loses_nothing(
    data: Path, authority: Authority, clock: ManualClock, step: int
) -> None:
    """Ensures that the worker keeps its lease, that waiting and finished jobs stay, and that events stay in sequence."""
    async with queue_server(data, authority, clock, drain_seconds=0.2) as queue:
        held, waiting, done = [await queue.enqueue(f"r{number}") for number in range(3)]
        await queue.cancel(done.job_id)
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        assert lease.ref.job_id == held.job_id
    clock.step(step)
    async with queue_server(data, authority, clock) as queue:
        worker = queue.worker()
        assert list((await worker.hello(lease.ref)).held) == [lease.ref]
        assert (await worker.complete(lease)).accepted
        assert await queue.history(held.job_id) == ["queued", "started", "succeeded"]
        assert (await queue.get(waiting.job_id)).state == job_pb2.JOB_STATE_QUEUED
        assert (await queue.get(done.job_id)).state == job_pb2.JOB_STATE_CANCELLED
        assert (await queue.enqueue("r1")).job_id == waiting.job_id
