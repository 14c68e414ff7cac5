"""Watching a job over the wire: nothing missed, nothing twice, nothing endless."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.runtime import statuses
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, queue_server, refusal, within


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue."""
    async with queue_server(data, authority) as caller:
        yield caller


async def next_event(watch: Any) -> job_pb2.JobEvent:
    """The next event of a watch."""
    response = await within(watch.read())
    assert response is not grpc.aio.EOF, "the watch ended"
    event: job_pb2.JobEvent = response.event
    return event


async def next_named(watch: Any, name: str) -> job_pb2.JobEvent:
    """The next event of this name."""
    while True:
        event = await next_event(watch)
        if event.WhichOneof("event") == name:
            return event


async def test_a_watch_resumes_where_it_was_left(queue: Caller) -> None:
    """Ensures that a watcher that names the last sequence gets what came after, before and after the end of the job."""
    job = await queue.enqueue()
    first = queue.watch(job.job_id)
    assert (await next_event(first)).sequence == 1
    first.cancel()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    second = queue.watch(job.job_id, after=1)
    assert (await next_event(second)).started.worker_id == "w1"
    await worker.complete(lease, b"picture")
    end = await next_event(second)
    assert (end.sequence, end.succeeded.result) == (3, b"picture")
    assert await within(second.read()) is grpc.aio.EOF
    third = queue.watch(job.job_id, after=2)
    assert await next_event(third) == end
    assert await within(third.read()) is grpc.aio.EOF
    assert await within(queue.watch(job.job_id, after=3).read()) is grpc.aio.EOF


async def test_a_watch_from_the_future_is_refused(queue: Caller) -> None:
    """Ensures that a sequence that has not been reached is told apart from waiting, with how far the job has come."""
    job = await queue.enqueue()
    try:
        await within(queue.watch(job.job_id, after=2).read())
        raise AssertionError("the watch was not refused")
    except grpc.RpcError as error:
        refused = statuses.from_call(error)
    assert (refused.reason, refused.metadata) == ("SEQUENCE_AHEAD", {"last_sequence": "1"})
    assert await refusal(queue.watch("job_unknown").read()) == "JOB_NOT_FOUND"
    request = queue_pb2.WatchJobRequest(job_id=job.job_id, account_id="acct_2")
    assert await refusal(queue.stub.WatchJob(request).read()) == "JOB_NOT_FOUND"


async def test_progress_reaches_those_who_watch_and_is_not_kept(queue: Caller) -> None:
    """Ensures that previews pass at once, with the sequence of the event before, and do not come again later."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    watch = queue.watch(job.job_id)
    await next_named(watch, "started")
    for step in (1, 2):
        report = job_pb2.Progress(attempt=1, step=step, steps=20, preview=b"p" * 100_000, image_index=1)
        await worker.send(progress=work_pb2.ProgressReport(lease=lease.ref, progress=report))
        event = await next_event(watch)
        assert (event.progress, event.sequence) == (report, 2)
    await worker.complete(lease)
    assert (await next_event(watch)).WhichOneof("event") == "succeeded"
    assert await queue.history(job.job_id) == ["queued", "started", "succeeded"]
    seen = [response.event.WhichOneof("event") async for response in queue.watch(job.job_id)]
    assert "progress" not in seen


async def test_a_waiting_job_is_told_of_its_place(queue: Caller) -> None:
    """Ensures that places count down to the start, and that no time is promised before a rate was measured."""
    worker = queue.worker()
    await worker.hello()
    for index in range(3):
        await queue.enqueue(f"before{index}")
    job = await queue.enqueue("mine")
    watch = queue.watch(job.job_id)
    first = await next_event(watch)
    assert (first.sequence, first.queued.position, first.queued.HasField("eta")) == (1, 3, False)
    await worker.send(credit=work_pb2.Credit(jobs=1))
    await worker.lease()
    moved = await next_named(watch, "queued")
    assert (moved.sequence, moved.queued.position) == (1, 2)
    await worker.send(credit=work_pb2.Credit(jobs=3))
    assert (await next_named(watch, "started")).sequence == 2


async def test_a_time_is_told_once_jobs_are_handed_out(queue: Caller) -> None:
    """Ensures that under a backlog with a measured rate a waiting job gets an estimate that is not absurd."""
    worker = queue.worker()
    await worker.hello(credit=1)
    for index in range(40):
        await queue.enqueue(f"r{index}")
    job = await queue.enqueue("mine")
    watch = queue.watch(job.job_id)
    async for _ in queue.stats(0.1):
        await worker.complete(await worker.lease())
        await worker.send(credit=work_pb2.Credit(jobs=1))
        event = await next_named(watch, "queued")
        if event.queued.HasField("eta"):
            break
    assert 0 < event.queued.position < 40
    assert 0.5 < event.queued.eta.ToMilliseconds() / (100 * event.queued.position) < 3


async def test_an_unstarted_job_expires(queue: Caller) -> None:
    """Ensures that a job that no worker takes in its time ends with the reason."""
    request = queue_pb2.NewJob(request_id="r", account_id="a", tier="free", kind="k", payload=b"", cost_ms=1)
    request.start_within.FromSeconds(1)
    job = (await queue.stub.EnqueueJob(queue_pb2.EnqueueJobRequest(job=request))).job
    assert await within(queue.history(job.job_id)) == ["queued", "expired"]
    expired = await queue.get(job.job_id)
    assert (expired.state, expired.failure.reason) == (job_pb2.JOB_STATE_EXPIRED, "JOB_EXPIRED")


async def test_watches_end_when_the_server_stops(queue: Caller) -> None:
    """Ensures that watchers are sent away with a reason that tells them to come back."""
    job = await queue.enqueue()
    watch, stats = queue.watch(job.job_id), queue.stats(3600)
    await next_event(watch)
    await within(stats.read())
    queue.stop()
    assert await refusal(next_named(watch, "started")) == "SERVER_DRAINING"
    assert await refusal(stats.read()) == "SERVER_DRAINING"
