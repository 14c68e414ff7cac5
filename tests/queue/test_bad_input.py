"""Whatever is wrong with what callers and workers say: a clear reason, nothing changed, and everybody else goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.runtime.errors import MezzotintError
from mezzotint.runtime.tls import Authority
from tests.queue.operating import listed
from tests.queue.wire import Caller, Worker, completing, new_job, queue_server, refusal, refused

PERMANENT = job_pb2.FAILURE_CLASS_PERMANENT


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue whose leases outlive a test."""
    async with queue_server(data, authority, lease_seconds=60.0, grace_seconds=60.0) as caller:
        yield caller


async def ended(worker: Worker) -> MezzotintError:
    """The error that a worker's stream ends with."""

    async def read() -> None:
        while await worker.call.read() is not grpc.aio.EOF:
            pass

    return await refused(read())


LONG = "x" * 65
CALLS: list[tuple[str, Any, str]] = [
    ("GetJob", queue_pb2.GetJobRequest(), "job_id"),
    ("GetJob", queue_pb2.GetJobRequest(job_id=LONG), "job_id"),
    ("CancelJob", queue_pb2.CancelJobRequest(job_id=LONG), "job_id"),
    ("CancelJob", queue_pb2.CancelJobRequest(job_id="j", reason="x" * 257), "reason"),
    ("WatchJob", queue_pb2.WatchJobRequest(job_id=""), "job_id"),
    ("WatchJob", queue_pb2.WatchJobRequest(job_id="j", account_id=LONG), "account_id"),
    ("ListJobs", queue_pb2.ListJobsRequest(page_size=101), "page_size"),
    ("ListJobs", queue_pb2.ListJobsRequest(page_token="x" * 257), "page_token"),
    ("ListJobs", queue_pb2.ListJobsRequest(labels={f"k{n}": "" for n in range(17)}), "labels"),
    ("ListJobs", queue_pb2.ListJobsRequest(states=[1] * 9), "states"),  # type: ignore[list-item]  # the contract's number
    ("WatchStats", queue_pb2.WatchStatsRequest(interval=Duration(seconds=3601)), "interval"),
    ("WatchStats", queue_pb2.WatchStatsRequest(interval=Duration(nanos=1)), "interval"),
    ("WatchStats", queue_pb2.WatchStatsRequest(interval=Duration(seconds=-1)), "interval"),
    ("EnqueueJob", queue_pb2.EnqueueJobRequest(), "job"),
    ("EnqueueJob", queue_pb2.EnqueueJobRequest(job=new_job(LONG)), "job.request_id"),
    ("EnqueueJob", queue_pb2.EnqueueJobRequest(job=new_job(start_within={"seconds": 604_801})), "job.start_within"),
    ("EnqueueJob", queue_pb2.EnqueueJobRequest(job=new_job(start_within={"seconds": -1})), "job.start_within"),
    ("EnqueueJob", queue_pb2.EnqueueJobRequest(job=new_job(cost_ms=2**64 - 1)), "job.cost_ms"),
]


@pytest.mark.parametrize(("method", "request_", "field"), CALLS, ids=lambda each: each if isinstance(each, str) else "")
async def test_a_call_that_breaks_a_rule_is_told_which(queue: Caller, method: str, request_: Any, field: str) -> None:
    """Ensures that ids, texts, pages, filters, times and costs beyond their limits are refused by the field's name."""
    call = getattr(queue.stub, method)(request_)
    error = await refused(call.read() if hasattr(call, "read") else call)
    assert error.reason == "FIELD_INVALID"
    assert [violation.field.partition("[")[0] for violation in error.violations] == [field]
    assert field in error.message


async def test_an_invalid_job_among_many_is_named(queue: Caller) -> None:
    """Ensures that the caller of a message with 256 jobs is told which one is wrong, and that none of them was taken."""
    jobs = [new_job(f"r{number}", **({"cost_ms": 0} if number == 200 else {})) for number in range(256)]
    call: Any = queue.stub.EnqueueJobs()
    await call.write(queue_pb2.EnqueueJobsRequest(jobs=jobs))
    error = await refused(call.read())
    assert (error.reason, [violation.field for violation in error.violations]) == ("FIELD_INVALID", ["jobs[200].cost_ms"])
    assert "jobs[200].cost_ms" in error.message
    assert not await listed(queue)


async def test_many_mistakes_in_one_message_are_told_too(queue: Caller) -> None:
    """Ensures that the answer to a message in which everything is wrong is not too long to be sent."""
    jobs = [new_job("", cost_ms=0, kind="", account_id=LONG, tier="t" * 500) for _ in range(256)]
    call: Any = queue.stub.EnqueueJobs()
    await call.write(queue_pb2.EnqueueJobsRequest(jobs=jobs))
    error = await refused(call.read())
    assert error.reason == "FIELD_INVALID"
    assert error.violations[0].field == "jobs[0].request_id"
    assert "1,264 more" in error.message


@pytest.mark.parametrize("after", [3, 2**31, 2**63, 2**64 - 1])
@pytest.mark.parametrize("finished", [False, True])
async def test_any_future_sequence_is_refused(queue: Caller, after: int, finished: bool) -> None:
    """Ensures that no number is too large to be told apart from waiting, for jobs that wait and that are over."""
    job = await queue.enqueue()
    if finished:
        job = await queue.cancel(job.job_id)
    error = await refused(queue.watch(job.job_id, after=after).read())
    assert (error.reason, error.metadata) == ("SEQUENCE_AHEAD", {"last_sequence": str(job.last_sequence)})


@pytest.mark.parametrize("name", ["a\0b", "\0", "\u202e\u0000\u200b", "🟥" * 16, "'; DROP TABLE job; --", "%s%n{0}"])
async def test_odd_names_are_names(data: Path, authority: Authority, name: str) -> None:
    """Ensures that ids, accounts and kinds of any characters are kept apart and found again after a restart."""
    async with queue_server(data, authority) as queue:
        other = await queue.enqueue("a", account_id="a", kind="a")
        job = await queue.enqueue(name, account_id=name, kind=name)
        assert job.job_id != other.job_id
    async with queue_server(data, authority) as queue:
        assert await queue.get(job.job_id) == job
        assert (await queue.enqueue(name, account_id=name, kind=name)).job_id == job.job_id
        assert await listed(queue, account_id=name) == await listed(queue, kind=name) == [job.job_id]
        worker = queue.worker("w", (name,))
        await worker.hello(credit=2)
        assert (await worker.complete(await worker.lease())).accepted


HELLOS: list[tuple[dict[str, Any], str]] = [
    ({"worker_id": "", "kinds": ["k"]}, "hello.worker_id"),
    ({"worker_id": LONG, "kinds": ["k"]}, "hello.worker_id"),
    ({"worker_id": "w", "kinds": []}, "hello.kinds"),
    ({"worker_id": "w", "kinds": [f"k{number}" for number in range(17)]}, "hello.kinds"),
    ({"worker_id": "w", "kinds": ["k"], "slots": 1025}, "hello.slots"),
    ({"worker_id": "w", "kinds": ["k"], "held": [{"job_id": "j"}] * 1025}, "hello.held"),
]


@pytest.mark.parametrize(("hello", "field"), HELLOS, ids=lambda each: each if isinstance(each, str) else "")
async def test_a_bad_hello_is_told_what_is_wrong(queue: Caller, hello: dict[str, Any], field: str) -> None:
    """Ensures that the limits of the first message hold, and that the worker can come again with a good one."""
    worker = queue.worker()
    await worker.send(hello=work_pb2.Hello(**hello))
    error = await ended(worker)
    assert (error.reason, [violation.field for violation in error.violations]) == ("FIELD_INVALID", [field])
    await queue.worker().hello(credit=1)


SOME = work_pb2.LeaseRef(job_id="j")
MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"credit": work_pb2.Credit(jobs=1025)}, "credit.jobs"),
    ({"heartbeat": work_pb2.Heartbeat(held=[SOME] * 1025)}, "heartbeat.held"),
    ({"heartbeat": work_pb2.Heartbeat(held=[SOME, work_pb2.LeaseRef()])}, "heartbeat.held[1].job_id"),
    ({"completions": completing(*[work_pb2.Complete(lease=SOME)] * 257)}, "completions.completions"),
    ({"fail": work_pb2.Fail(lease=SOME)}, "fail.failure"),
    ({"hand_back": work_pb2.HandBack()}, "hand_back.lease"),
    ({"progress": work_pb2.ProgressReport(lease=SOME)}, "progress.progress"),
]


@pytest.mark.parametrize(("message", "field"), MESSAGES, ids=lambda each: each if isinstance(each, str) else "")
async def test_a_message_over_its_limits_ends_the_stream_and_no_lease(
    queue: Caller, message: dict[str, Any], field: str
) -> None:
    """Ensures that the worker is told the field, and keeps what it holds when it comes back."""
    await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    await worker.send(**message)
    error = await ended(worker)
    assert (error.reason, [violation.field for violation in error.violations]) == ("FIELD_INVALID", [field])
    back = queue.worker()
    assert list((await back.hello(lease.ref)).held) == [lease.ref]
    assert (await back.complete(lease)).accepted


async def test_a_result_may_be_64_kib_and_no_more(queue: Caller) -> None:
    """Ensures that a result over its limit ends the stream by name and loses no job, and that one at the limit is kept."""
    jobs = [await queue.enqueue(f"r{number}") for number in range(2)]
    worker = queue.worker()
    await worker.hello(credit=2)
    leases = [await worker.lease(), await worker.lease()]
    large = [work_pb2.Complete(lease=leases[0].ref, result=b"x"), work_pb2.Complete(lease=leases[1].ref, result=bytes(65_537))]
    await worker.send(completions=completing(*large))
    error = await ended(worker)
    assert [violation.field for violation in error.violations] == ["completions.completions[1].result"]
    back = queue.worker()
    held = sorted((lease.ref for lease in leases), key=lambda ref: ref.job_id)
    assert list((await back.hello(*held)).held) == held
    for lease, result in zip(leases, (b"", bytes(range(256)) * 256), strict=True):
        assert (await back.complete(lease, result)).accepted
    assert [await queue.result(job.job_id) for job in jobs] == [b"", bytes(range(256)) * 256]


def ending(kind: str, ref: work_pb2.LeaseRef) -> dict[str, Any]:
    """A message that ends a lease in one of three ways."""
    match kind:
        case "complete":
            return {"completions": completing(work_pb2.Complete(lease=ref, result=b"another"))}
        case "fail":
            failure = job_pb2.Failure(failure_class=PERMANENT, reason="JOB_FAILED", message="it broke")
            return {"fail": work_pb2.Fail(lease=ref, failure=failure)}
        case _:
            return {"hand_back": work_pb2.HandBack(lease=ref)}


@pytest.mark.parametrize("kind", ["complete", "fail", "hand_back"])
async def test_only_the_holder_of_the_latest_lease_ends_it(queue: Caller, kind: str) -> None:
    """Ensures that older, later and made up tokens, another worker and unknown jobs are refused, and that the job goes on."""
    job = await queue.enqueue()
    worker, thief = queue.worker(), queue.worker("thief")
    await worker.hello(credit=1)
    await thief.hello()
    first = await worker.lease()
    await worker.send(hand_back=work_pb2.HandBack(lease=first.ref))
    assert (await worker.settled()).accepted
    await worker.send(credit=work_pb2.Credit(jobs=1))
    lease = await worker.lease()
    token = lease.ref.fencing_token
    for each, job_id, number in [
        (worker, job.job_id, first.ref.fencing_token),
        (worker, job.job_id, token + 1),
        (worker, job.job_id, 0),
        (worker, job.job_id, 2**64 - 1),
        (worker, "job_unknown", token),
        (thief, job.job_id, token),
    ]:
        await each.send(**ending(kind, work_pb2.LeaseRef(job_id=job_id, fencing_token=number)))
        answer = await each.settled()
        assert (answer.accepted, answer.reason) == (False, "LEASE_STALE")
    assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_RUNNING
    assert (await worker.complete(lease, b"picture")).accepted
    assert await queue.result(job.job_id) == b"picture"


@pytest.mark.parametrize("kind", ["complete", "fail", "hand_back"])
async def test_nothing_ends_a_job_that_is_over(queue: Caller, kind: str) -> None:
    """Ensures that after each kind of end the job stays as it is, and that only a success said again is accepted."""
    worker = queue.worker()
    await worker.hello()
    for end in ("cancelled", "failed", "succeeded"):
        job = await queue.enqueue(end)
        await worker.send(credit=work_pb2.Credit(jobs=1))
        lease = await worker.lease()
        if end == "cancelled":
            await queue.cancel(job.job_id)
            await worker.expect("cancel")
        elif end == "failed":
            assert (await worker.fail(lease, PERMANENT)).accepted
        else:
            assert (await worker.complete(lease, b"picture")).accepted
        before = await queue.get(job.job_id)
        await worker.send(**ending(kind, lease.ref))
        answer = await worker.settled()
        said_again = (end, kind) == ("succeeded", "complete")
        assert (answer.accepted, answer.reason) == (said_again, "" if said_again else "JOB_FINISHED")
        assert await queue.get(job.job_id) == before
        assert await queue.result(job.job_id) == (b"picture" if end == "succeeded" else b"")


async def test_a_lease_named_twice_is_one(queue: Caller) -> None:
    """Ensures that repetitions in Hello, heartbeats and completions change nothing, and that the first result counts."""
    job = await queue.enqueue()
    worker = queue.worker()
    await worker.hello(credit=1)
    lease = await worker.lease()
    await worker.vanish()
    back = queue.worker()
    assert list((await back.hello(lease.ref, lease.ref)).held) == [lease.ref]
    await back.beat(lease.ref, lease.ref)
    results = [work_pb2.Complete(lease=lease.ref, result=result) for result in (b"first", b"second")]
    await back.send(completions=completing(*results))
    assert [(await back.settled()).accepted, (await back.settled()).accepted] == [True, True]
    assert await queue.result(job.job_id) == b"first"


async def test_an_account_sees_nothing_of_others(queue: Caller) -> None:
    """Ensures that an account that nobody has heard of has no jobs, and cannot watch or cancel those of another."""
    job = await queue.enqueue()
    assert await listed(queue, account_id="acct_unknown") == []
    for request in (
        queue.stub.GetJob(queue_pb2.GetJobRequest(job_id=job.job_id, account_id="acct_unknown")),
        queue.stub.CancelJob(queue_pb2.CancelJobRequest(job_id=job.job_id, account_id="acct_unknown")),
        queue.stub.WatchJob(queue_pb2.WatchJobRequest(job_id=job.job_id, account_id="acct_unknown")).read(),
    ):
        assert await refusal(request) == "JOB_NOT_FOUND"
    assert await queue.get(job.job_id) == job
