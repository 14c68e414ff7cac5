"""The worker's stream, over the wire: leases against credits, what ends them, and workers that break the rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.runtime import statuses
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, Worker, completing, queue_server, within

RETRYABLE = job_pb2.FAILURE_CLASS_RETRYABLE
PERMANENT = job_pb2.FAILURE_CLASS_PERMANENT


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue."""
    async with queue_server(data, authority) as caller:
        yield caller


async def ended(worker: Worker) -> str:
    """The reason that the stream ends with."""
    try:
        while await within(worker.call.read()) is not grpc.aio.EOF:
            pass
        await worker.call.wait_for_connection()
        code = await worker.call.code()
        assert code is not grpc.StatusCode.OK, "the stream ended well"
        raise AssertionError(f"the stream ended with {code} and no error")
    except grpc.RpcError as error:
        return statuses.from_call(error).reason


async def event_named(call: Any, name: str) -> Any:
    """The next event of this name on a watch."""
    while True:
        response = await within(call.read())
        assert response is not grpc.aio.EOF, f"the watch ended before {name}"
        if response.event.WhichOneof("event") == name:
            return getattr(response.event, name)


async def test_a_job_goes_to_a_worker_and_its_result_to_the_watcher(queue: Caller) -> None:
    """Ensures the whole way: accepted, leased, completed, and told to whoever watches, in order."""
    worker = queue.worker()
    welcome = await worker.hello(credit=1)
    assert welcome.heartbeat_interval.ToMilliseconds() == 100
    assert welcome.lease_duration.ToMilliseconds() == 600
    job = await queue.enqueue()
    lease = await worker.lease()
    assert (lease.ref.job_id, lease.payload, lease.job.attempt) == (job.job_id, b"a red heart", 1)
    settled = await worker.complete(lease, b"a picture", cost_ms=1200)
    assert settled.accepted
    assert await queue.history(job.job_id) == ["queued", "started", "succeeded"]
    await worker.leave()


async def test_leases_go_out_only_against_credits(queue: Caller) -> None:
    """Ensures that a worker gets as many jobs as it asked for and the rest wait, and that leases come in batches."""
    jobs = [await queue.enqueue(f"r{index}") for index in range(5)]
    worker = queue.worker()
    await worker.hello(credit=3)
    batch = (await worker.expect("leases")).leases
    assert [lease.ref.job_id for lease in batch] == [job.job_id for job in jobs[:3]]
    assert (await queue.get(jobs[3].job_id)).state == job_pb2.JOB_STATE_QUEUED
    assert (await worker.complete(batch[0])).accepted
    assert (await queue.get(jobs[3].job_id)).state == job_pb2.JOB_STATE_QUEUED
    await worker.send(credit=work_pb2.Credit(jobs=1))
    assert (await worker.lease()).ref.job_id == jobs[3].job_id


async def test_workers_get_only_the_kinds_they_take(queue: Caller) -> None:
    """Ensures that a job waits for a worker of its kind while others pass."""
    await queue.enqueue("r1", kind="image.upscale")
    job = await queue.enqueue("r2")
    worker = queue.worker()
    await worker.hello(credit=2)
    assert (await worker.lease()).ref.job_id == job.job_id
    upscaler = queue.worker("w2", ("image.upscale", "image.generate"))
    await upscaler.hello(credit=1)
    assert (await upscaler.lease()).job.kind == "image.upscale"


async def test_heartbeats_keep_a_lease_longer_than_it_lives(queue: Caller) -> None:
    """Ensures that a worker that beats keeps its job for many lease durations, and one that stops loses it and is told."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    watch = queue.watch(job.job_id)
    await event_named(watch, "started")
    beats = 0
    async for _ in queue.stats(0.1):
        await worker.beat(lease.ref)
        beats += 1
        if beats == 20:
            break
    assert (await queue.get(job.job_id)).attempt == 1
    assert (await worker.expect("cancel")).lease == lease.ref
    again = await event_named(watch, "queued")
    assert again.previous_attempt.failure_class == job_pb2.FAILURE_CLASS_WORKER_LOST
    assert not (await worker.complete(lease)).accepted


async def test_a_lost_workers_job_goes_to_another(queue: Caller) -> None:
    """Ensures that after the grace the job of a killed worker is tried again, and the first worker's result is refused."""
    job = await queue.enqueue()
    first, second = queue.worker("w1"), queue.worker("w2")
    await first.hello(credit=1)
    old = await first.lease()
    await second.hello(credit=1)
    await first.vanish()
    new = await second.lease()
    assert (new.ref.job_id, new.job.attempt) == (job.job_id, 2)
    assert new.ref.fencing_token > old.ref.fencing_token
    back = queue.worker("w1")
    welcome = await back.hello(old.ref)
    assert not welcome.held
    refused = await back.complete(old, b"late")
    assert (refused.accepted, refused.reason) == (False, "LEASE_STALE")
    assert (await second.complete(new, b"in time")).accepted
    refused = await back.complete(old, b"too late")
    assert (refused.accepted, refused.reason) == (False, "JOB_FINISHED")
    assert await queue.history(job.job_id) == ["queued", "started", "queued", "started", "succeeded"]


async def test_a_reconnect_within_the_grace_keeps_the_lease(data: Path, authority: Authority) -> None:
    """Ensures that a broken stream costs nothing when the worker is soon back."""
    async with queue_server(data, authority, grace_seconds=30.0, lease_seconds=30.0) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        await worker.vanish()
        back = queue.worker()
        welcome = await back.hello(lease.ref)
        assert list(welcome.held) == [lease.ref]
        assert (await back.complete(lease)).accepted
        assert await queue.history(job.job_id) == ["queued", "started", "succeeded"]


async def test_a_worker_that_comes_back_without_its_job_loses_it_at_once(data: Path, authority: Authority) -> None:
    """Ensures that a restarted worker's jobs do not wait for the grace."""
    async with queue_server(data, authority, grace_seconds=600.0, lease_seconds=600.0) as queue:
        await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        await worker.lease()
        await worker.vanish()
        back = queue.worker()
        await back.hello(credit=1)
        assert (await back.lease()).job.attempt == 2


async def test_a_job_named_no_more_in_heartbeats_is_tried_again(data: Path, authority: Authority) -> None:
    """Ensures that a worker can lose a job without losing its stream."""
    async with queue_server(data, authority, lease_seconds=600.0) as queue:
        await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=2)
        lease = await worker.lease()
        await worker.beat(lease.ref)
        await worker.beat()
        again = await worker.lease()
        assert (again.ref.job_id, again.job.attempt) == (lease.ref.job_id, 2)


async def test_retries_end_with_the_last_attempt(queue: Caller) -> None:
    """Ensures that retryable failures are tried again with a backoff until the attempts are used up."""
    job = await queue.enqueue(attempts_max=2)
    worker = queue.worker()
    await worker.hello(credit=2)
    assert (await worker.fail(await worker.lease(), RETRYABLE)).accepted
    assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_QUEUED
    assert (await worker.fail(await worker.lease(), RETRYABLE, "MODEL_NOT_FOUND")).accepted
    assert await queue.history(job.job_id) == ["queued", "started", "queued", "started", "failed"]
    failed = await queue.get(job.job_id)
    assert (failed.state, failed.failure.reason, failed.failure.message) == (
        job_pb2.JOB_STATE_FAILED,
        "MODEL_NOT_FOUND",
        "it broke",
    )


async def test_a_permanent_failure_is_not_tried_again(queue: Caller) -> None:
    """Ensures that a request that cannot work fails at once, and that an unknown reason does not reach clients."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=2)
    assert (await worker.fail(await worker.lease(), PERMANENT, "made up")).accepted
    failed = await queue.get(job.job_id)
    assert (failed.state, failed.attempt, failed.failure.reason) == (job_pb2.JOB_STATE_FAILED, 1, "JOB_FAILED")


async def test_a_job_handed_back_has_not_been_tried(queue: Caller) -> None:
    """Ensures that handing back uses up no attempt, that the next lease has a greater token, and that others go on."""
    job = await queue.enqueue(attempts_max=1)
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    await worker.send(hand_back=work_pb2.HandBack(lease=lease.ref))
    assert (await worker.settled()).accepted
    waiting = await queue.get(job.job_id)
    assert (waiting.state, waiting.attempt, waiting.HasField("started_at")) == (job_pb2.JOB_STATE_QUEUED, 0, False)
    await worker.send(credit=work_pb2.Credit(jobs=1))
    again = await worker.lease()
    assert (again.job.attempt, again.ref.fencing_token) == (1, lease.ref.fencing_token + 1)
    assert (await worker.complete(again)).accepted


async def test_cancelling_a_running_job_reaches_its_worker_at_once(queue: Caller) -> None:
    """Ensures that the worker is told, that its result is refused, and that the watcher sees the end."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    cancelled = await queue.cancel(job.job_id, "changed my mind")
    assert cancelled.state == job_pb2.JOB_STATE_CANCELLED
    told = await worker.expect("cancel")
    assert (told.lease, told.reason) == (lease.ref, "changed my mind")
    refused = await worker.complete(lease)
    assert (refused.accepted, refused.reason) == (False, "JOB_FINISHED")
    assert await queue.history(job.job_id) == ["queued", "started", "cancelled"]


async def test_a_result_that_is_sent_twice_is_accepted_twice(queue: Caller) -> None:
    """Ensures that a worker whose answer was lost can ask again, and that the first result stays."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    assert (await worker.complete(lease, b"first")).accepted
    assert (await worker.complete(lease, b"second")).accepted
    assert (await queue.result(job.job_id)) == b"first"


async def test_another_workers_lease_is_refused(queue: Caller) -> None:
    """Ensures that no worker can end, beat or report for what another holds."""
    job = await queue.enqueue()
    owner, thief = queue.worker("w1"), queue.worker("w2")
    await owner.hello(credit=1)
    lease = await owner.lease()
    await thief.hello()
    refused = await thief.complete(lease, b"stolen")
    assert (refused.accepted, refused.reason) == (False, "LEASE_STALE")
    await thief.beat(lease.ref)
    assert (await thief.expect("cancel")).lease == lease.ref
    progress = job_pb2.Progress(attempt=1, step=1, steps=2)
    await thief.send(progress=work_pb2.ProgressReport(lease=lease.ref, progress=progress))
    assert (await thief.expect("cancel")).lease == lease.ref
    assert (await owner.complete(lease)).accepted
    unknown = work_pb2.Lease(ref=work_pb2.LeaseRef(job_id="job_unknown", fencing_token=1))
    assert not (await thief.complete(unknown)).accepted
    assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_SUCCEEDED


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"credit": work_pb2.Credit(jobs=1)}, "PROTOCOL_VIOLATION"),
        ({"heartbeat": work_pb2.Heartbeat()}, "PROTOCOL_VIOLATION"),
        ({}, "FIELD_INVALID"),
        ({"hello": work_pb2.Hello(worker_id="w1")}, "FIELD_INVALID"),
    ],
)
async def test_a_stream_that_does_not_begin_with_hello_is_refused(queue: Caller, message: dict[str, Any], reason: str) -> None:
    """Ensures that the first message is a whole Hello."""
    worker = queue.worker()
    await worker.send(**message)
    assert await ended(worker) == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"hello": work_pb2.Hello(worker_id="w1", kinds=["image.generate"])}, "PROTOCOL_VIOLATION"),
        ({"credit": work_pb2.Credit(jobs=1024)}, "PROTOCOL_VIOLATION"),
        ({"credit": work_pb2.Credit(jobs=0)}, "FIELD_INVALID"),
        ({"completions": completing(work_pb2.Complete())}, "FIELD_INVALID"),
        ({"completions": completing()}, "FIELD_INVALID"),
        (
            {
                "progress": work_pb2.ProgressReport(
                    lease=work_pb2.LeaseRef(job_id="j", fencing_token=1),
                    progress=job_pb2.Progress(preview=bytes(256 * 1024 + 1)),
                )
            },
            "FIELD_INVALID",
        ),
    ],
)
async def test_a_worker_that_breaks_the_protocol_is_sent_away(queue: Caller, message: dict[str, Any], reason: str) -> None:
    """Ensures that a second Hello, too many credits and messages over their limits end the stream with the reason."""
    worker = queue.worker()
    await worker.hello(credit=1)
    await worker.send(**message)
    assert await ended(worker) == reason


async def test_a_second_stream_with_the_same_worker_id_takes_over(queue: Caller) -> None:
    """Ensures that a half-open stream does not keep its worker out, and that two workers cannot share an id unnoticed."""
    first = queue.worker()
    await first.hello(credit=1)
    second = queue.worker()
    await second.hello(credit=1)
    assert await ended(first) == "PROTOCOL_VIOLATION"
    await queue.enqueue()
    assert (await second.complete(await second.lease())).accepted


async def test_a_worker_that_leaves_hears_what_became_of_its_results(queue: Caller) -> None:
    """Ensures that a stream that the worker closes ends only after the answers to what it sent."""
    await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    await worker.send(completions=completing(work_pb2.Complete(lease=lease.ref, result=b"picture")))
    await worker.call.done_writing()
    assert (await worker.settled()).accepted
    assert await within(worker.call.read()) is grpc.aio.EOF


async def test_a_result_and_a_cancellation_that_meet_have_one_winner(queue: Caller) -> None:
    """Ensures that of two ends at the same moment one is kept and the other told so, for every job."""
    jobs = [await queue.enqueue(f"r{index}") for index in range(60)]
    worker = queue.worker()
    await worker.hello(credit=60)
    leases = [await worker.lease() for _ in jobs]
    calls = []
    for lease in leases:
        calls.append(queue.stub.CancelJob(queue_pb2.CancelJobRequest(job_id=lease.ref.job_id)))
        await worker.send(completions=completing(work_pb2.Complete(lease=lease.ref, result=b"picture")))
    codes = [await call.code() for call in calls]
    accepted: dict[str, bool] = {}
    while len(accepted) < len(jobs):
        response = await within(worker.call.read())
        if response.WhichOneof("message") == "settled":
            accepted |= {each.lease.job_id: each.accepted for each in response.settled.settlements}
    for lease, code in zip(leases, codes, strict=True):
        won = accepted[lease.ref.job_id]
        assert won == (code is not grpc.StatusCode.OK)
        assert await queue.history(lease.ref.job_id) == ["queued", "started", "succeeded" if won else "cancelled"]


async def test_a_stopping_queue_lets_workers_finish(data: Path, authority: Authority) -> None:
    """Ensures that a stop sends Drain and no more leases, and waits for what is held until it is settled."""
    async with queue_server(data, authority, drain_seconds=5.0) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=5)
        lease = await worker.lease()
        queue.stop()
        await worker.expect("drain")
        settled = await worker.complete(lease)
        began = asyncio.get_running_loop().time()
        assert settled.accepted
        assert await ended(worker) == "SERVER_DRAINING"
        assert asyncio.get_running_loop().time() - began < 2
    async with queue_server(data, authority) as queue:
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_SUCCEEDED
