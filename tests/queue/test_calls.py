"""Enqueue, get, list, cancel and statistics over the wire, with good and bad input."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc, work_pb2
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.upkeep import Retention
from mezzotint.runtime import statuses
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, new_job, queue_server, refusal, within
from tests.support.clock import ManualClock
from tests.support.serving import connect


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue."""
    async with queue_server(data, authority) as caller:
        yield caller


async def test_the_same_request_twice_is_one_job(queue: Caller) -> None:
    """Ensures that a retry gets the first job, also at the same moment, and that another body is refused."""
    request = queue_pb2.EnqueueJobRequest(job=new_job())
    calls = [queue.stub.EnqueueJob(request) for _ in range(20)]
    answers = [await call for call in calls]
    assert len({answer.job.job_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 19
    assert await refusal(queue.enqueue(payload=b"a blue heart")) == "REQUEST_ID_REUSED"
    other = await queue.enqueue(account_id="acct_2", payload=b"a blue heart")
    assert other.job_id != answers[0].job.job_id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tier": "platinum"}, "TIER_UNKNOWN"),
        ({"account_id": ""}, "FIELD_INVALID"),
        ({"payload": bytes(65_537)}, "FIELD_INVALID"),
        ({"cost_ms": 0}, "FIELD_INVALID"),
        ({"attempts_max": 11}, "FIELD_INVALID"),
        ({"kind": "k" * 65}, "FIELD_INVALID"),
        ({"payload": bytes(8 * 1024 * 1024)}, "LIMIT_REACHED"),
    ],
)
async def test_bad_jobs_are_refused(queue: Caller, fields: dict[str, Any], reason: str) -> None:
    """Ensures that what breaks the contract is refused with a reason; a message far too long is refused by gRPC itself."""
    assert await refusal(queue.enqueue(**fields)) == reason


async def test_an_unknown_tier_is_answered_with_those_that_exist(queue: Caller) -> None:
    """Ensures that the caller is told what to do instead."""
    try:
        await queue.enqueue(tier="platinum")
        raise AssertionError("the tier was taken")
    except grpc.RpcError as error:
        refused = statuses.from_call(error)
    assert refused.metadata == {"tiers": "free, plus, pro, enterprise"}


async def test_a_full_queue_says_when_to_come_back(data: Path, authority: Authority) -> None:
    """Ensures that the limits of an account and of all hold, that retries pass, and that room is used again."""
    async with queue_server(data, authority, account_waiting_max=2, waiting_max=3) as queue:
        first = await queue.enqueue("r1")
        await queue.enqueue("r2")
        assert await refusal(queue.enqueue("r3")) == "SERVER_OVERLOADED"
        assert (await queue.enqueue("r1")).job_id == first.job_id
        await queue.enqueue("r4", account_id="acct_2")
        try:
            await queue.enqueue("r5", account_id="acct_3")
            raise AssertionError("a fourth job was taken")
        except grpc.RpcError as error:
            refused = statuses.from_call(error)
        assert refused.reason == "SERVER_OVERLOADED"
        assert refused.retry_after
        await queue.cancel(first.job_id)
        await queue.enqueue("r5", account_id="acct_3")


async def test_many_jobs_are_answered_in_order_whatever_becomes_of_each(queue: Caller) -> None:
    """Ensures that a stream takes jobs in their order and that a refused one does not end it."""
    await queue.enqueue("r7", payload=b"another")
    jobs = [new_job(f"r{index}", tier="platinum" if index == 3 else "pro") for index in range(500)]

    async def requests() -> AsyncIterator[queue_pb2.EnqueueJobsRequest]:
        for size in (1, 256, 243):
            yield queue_pb2.EnqueueJobsRequest(jobs=[jobs.pop(0) for _ in range(size)])

    responses = [response.outcomes async for response in queue.stub.EnqueueJobs(requests())]
    assert [len(outcomes) for outcomes in responses] == [1, 256, 243]
    answers = [answer for outcomes in responses for answer in outcomes]
    assert (answers[3].refusal.reason, answers[7].refusal.reason) == ("TIER_UNKNOWN", "REQUEST_ID_REUSED")
    accepted = [answer.job.job_id for answer in answers if answer.HasField("job")]
    assert len(accepted) == 498
    listed = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=100))
    assert [job.job_id for job in listed.jobs] == accepted[::-1][:100]


async def test_an_invalid_job_ends_the_stream_and_not_the_server(queue: Caller) -> None:
    """Ensures that jobs before it are answered and kept, and the reason is told."""

    async def requests() -> AsyncIterator[queue_pb2.EnqueueJobsRequest]:
        yield queue_pb2.EnqueueJobsRequest(jobs=[new_job("r1")])
        yield queue_pb2.EnqueueJobsRequest(jobs=[new_job("r2"), new_job("r3", cost_ms=0)])

    call: Any = queue.stub.EnqueueJobs(requests())
    assert (await within(call.read())).outcomes[0].HasField("job")
    assert await refusal(call.read()) == "FIELD_INVALID"
    assert len((await queue.stub.ListJobs(queue_pb2.ListJobsRequest())).jobs) == 1


async def test_jobs_of_others_are_not_found(queue: Caller) -> None:
    """Ensures that a call on behalf of an account sees only its jobs."""
    job = await queue.enqueue()
    mine = queue_pb2.GetJobRequest(job_id=job.job_id, account_id="acct_1")
    theirs = queue_pb2.GetJobRequest(job_id=job.job_id, account_id="acct_2")
    assert (await queue.stub.GetJob(mine)).job == job
    assert await refusal(queue.stub.GetJob(theirs)) == "JOB_NOT_FOUND"
    assert await refusal(queue.get("job_unknown")) == "JOB_NOT_FOUND"
    cancel = queue_pb2.CancelJobRequest(job_id=job.job_id, account_id="acct_2")
    assert await refusal(queue.stub.CancelJob(cancel)) == "JOB_NOT_FOUND"


async def test_pages_hold_every_job_once(queue: Caller) -> None:
    """Ensures that paging walks all jobs newest first, and that tokens are good for their own query only."""
    jobs = [await queue.enqueue(f"r{index}", account_id=f"acct_{index % 2}") for index in range(7)]
    request = queue_pb2.ListJobsRequest(account_id="acct_0", page_size=3)
    first = await queue.stub.ListJobs(request)
    request.page_token = first.next_page_token
    second = await queue.stub.ListJobs(request)
    assert [job.job_id for job in [*first.jobs, *second.jobs]] == [
        job.job_id for job in jobs[::-1] if job.account_id == "acct_0"
    ]
    assert not second.next_page_token
    request.account_id = "acct_1"
    assert await refusal(queue.stub.ListJobs(request)) == "PAGE_TOKEN_INVALID"
    assert await refusal(queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_token="x"))) == "PAGE_TOKEN_INVALID"
    assert await refusal(queue.stub.ListJobs(queue_pb2.ListJobsRequest(states=[99]))) == "FIELD_INVALID"  # type: ignore[list-item]  # no such state
    waiting = queue_pb2.ListJobsRequest(states=[job_pb2.JOB_STATE_QUEUED])
    assert len((await queue.stub.ListJobs(waiting)).jobs) == 7


async def test_cancelling_wins_or_loses_once(queue: Caller) -> None:
    """Ensures that a waiting job is cancelled, that doing so again changes nothing, and that a finished job stays finished."""
    job = await queue.enqueue()
    cancelled = await queue.cancel(job.job_id, "enough")
    assert (cancelled.state, cancelled.failure.message) == (job_pb2.JOB_STATE_CANCELLED, "enough")
    assert await queue.cancel(job.job_id, "again") == cancelled
    assert await queue.history(job.job_id) == ["queued", "cancelled"]
    worker = queue.worker()
    await worker.hello(credit=1)
    done = await queue.enqueue("r2")
    await worker.complete(await worker.lease())
    assert await refusal(queue.cancel(done.job_id)) == "JOB_FINISHED"
    assert await refusal(queue.cancel("job_unknown")) == "JOB_NOT_FOUND"


async def test_statistics_count_jobs_workers_and_credits(queue: Caller) -> None:
    """Ensures that the numbers are those of the present."""
    worker = queue.worker()
    await worker.hello(credit=1)
    await queue.enqueue("r1", tier="pro")
    await worker.lease()
    await queue.enqueue("r2", tier="pro")
    stats = await within(queue.stats(1.0).read())
    tiers = {tier.tier: (tier.queued, tier.deferred, tier.running) for tier in stats.tiers}
    assert tiers == {"free": (0, 0, 0), "plus": (0, 0, 0), "pro": (1, 0, 1), "enterprise": (0, 0, 0)}
    assert (stats.workers, stats.credits) == (1, 0)


async def test_only_those_the_contract_names_may_call(queue: Caller, authority: Authority) -> None:
    """Ensures that workers cannot enqueue and the gateway cannot work."""
    channel = connect(authority, queue.port, "queue", identity="ratelimit")
    stub = queue_pb2_grpc.QueueServiceStub(channel)
    assert await refusal(stub.EnqueueJob(queue_pb2.EnqueueJobRequest(job=new_job()))) == "CALLER_NOT_ALLOWED"
    assert await refusal(queue.stub.Work().read()) == "CALLER_NOT_ALLOWED"
    await channel.close()


async def test_a_stream_of_jobs_ends_when_the_server_stops(queue: Caller) -> None:
    """Ensures that the jobs taken are answered and the caller is told to send the others again."""
    call: Any = queue.stub.EnqueueJobs()
    await call.write(queue_pb2.EnqueueJobsRequest(jobs=[new_job("r1")]))
    assert (await within(call.read())).outcomes[0].HasField("job")
    queue.stop()
    assert await refusal(call.read()) == "SERVER_DRAINING"


async def test_a_full_store_refuses_new_jobs_and_lets_running_ones_end(data: Path, authority: Authority) -> None:
    """Ensures that callers are told to come back, and that results of accepted jobs still find room."""
    async with queue_server(data, authority, store_bytes_max=1024 * 1024) as queue:
        worker = queue.worker()
        await worker.hello(credit=1)
        calls = [
            queue.stub.EnqueueJob(queue_pb2.EnqueueJobRequest(job=new_job(f"r{n}", payload=bytes(60_000)))) for n in range(30)
        ]
        outcomes = [await call if not await failed(call) else None for call in calls]
        accepted = [outcome.job for outcome in outcomes if outcome]
        assert 5 < len(accepted) < 30
        assert await refusal(queue.enqueue("another", payload=bytes(60_000))) == "STORAGE_FULL"
        for _ in accepted:
            lease = await worker.lease()
            assert (await worker.complete(lease, b"picture")).accepted
            assert await queue.result(lease.ref.job_id) == b"picture"
            await worker.send(credit=work_pb2.Credit(jobs=1))
        assert await queue.enqueue("another", payload=bytes(60_000))


async def failed(call: Any) -> bool:
    """The call ended with an error, which must be STORAGE_FULL."""
    if await call.code() is grpc.StatusCode.OK:
        return False
    assert await refusal(call) == "STORAGE_FULL"
    return True


async def test_steps_of_the_wall_clock_end_no_lease(data: Path, authority: Authority, clock: ManualClock) -> None:
    """Ensures that leases live by the monotonic clock alone."""
    async with queue_server(data, authority, clock) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        for step in (3600, -7200):
            clock.step(step)
            await queue.enqueue(f"r{step}")
        assert (await worker.complete(lease)).accepted
        assert (await queue.get(job.job_id)).attempt == 1


async def test_old_jobs_are_forgotten(data: Path, authority: Authority, clock: ManualClock) -> None:
    """Ensures that finished jobs go after the retention, also many of them, and unfinished ones stay."""
    async with queue_server(data, authority, clock) as queue:
        jobs = [await queue.enqueue(f"r{index}") for index in range(3)]
        await queue.cancel(jobs[0].job_id)
        clock.advance(3600)
        await queue.cancel(jobs[1].job_id)
    engine = await SqliteEngine.open(data / "queue")
    await Retention(engine, clock, 1800).sweep()
    await engine.close()
    async with queue_server(data, authority, clock) as queue:
        assert await refusal(queue.get(jobs[0].job_id)) == "JOB_NOT_FOUND"
        assert (await queue.get(jobs[1].job_id)).state == job_pb2.JOB_STATE_CANCELLED
        assert (await queue.get(jobs[2].job_id)).state == job_pb2.JOB_STATE_QUEUED
