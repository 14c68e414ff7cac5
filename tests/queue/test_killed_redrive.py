"""A queue that is killed in the middle of a redrive: nothing is lost and nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import Process
from pathlib import Path

import grpc

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.operating import Operator
from tests.queue.test_restart import kill, process
from tests.queue.wire import Caller, new_job, within

DEAD = 400


async def fill(queue: Caller) -> None:
    """Jobs that have all failed for good."""
    call = queue.stub.EnqueueJobs()
    for begin in range(0, DEAD, 200):
        batch = [new_job(f"r{number}", account_id=f"acct_{number}", attempts_max=1) for number in range(begin, begin + 200)]
        await call.write(queue_pb2.EnqueueJobsRequest(jobs=batch))
        await within(call.read())
    await call.done_writing()
    worker = queue.worker()
    await worker.hello(credit=DEAD)
    failure = job_pb2.Failure(failure_class=job_pb2.FAILURE_CLASS_PERMANENT, reason="JOB_FAILED", message="it broke")
    for lease in [await worker.lease() for _ in range(DEAD)]:
        await worker.send(fail=work_pb2.Fail(lease=lease.ref, failure=failure))
    settled = 0
    while settled < DEAD:
        settled += len((await worker.expect("settled")).settlements)
    await worker.leave()


async def everything(queue: Caller) -> list[job_pb2.Job]:
    """Every job there is."""
    jobs: list[job_pb2.Job] = []
    token = ""
    while True:
        page = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=100, page_token=token))
        jobs += page.jobs
        if not (token := page.next_page_token):
            return jobs


async def test_a_killed_redrive_loses_and_doubles_nothing(data: Path, authority: Authority) -> None:
    """Ensures that after each kill exactly the marked jobs have a new one, and that a last redrive does the rest, once."""
    async with process(data, authority) as (queue, server):
        await fill(queue)
        await redrive_and_kill(queue, authority, server)
    async with process(data, authority) as (queue, server):
        assert 0 < await consistent(queue) < DEAD
        await redrive_and_kill(queue, authority, server)
    async with process(data, authority) as (queue, server):
        done = await consistent(queue)
        assert (await Operator(queue, authority).redrive()).redriven == DEAD - done
        assert await consistent(queue) == DEAD
        assert (await Operator(queue, authority).redrive()).redriven == 0


async def redrive_and_kill(queue: Caller, authority: Authority, server: Process) -> None:
    """Begin a redrive, and kill the queue as soon as one of its jobs is there to be seen."""
    before = await newest(queue)
    redrive = asyncio.ensure_future(Operator(queue, authority).redrive(per_second=1000))
    while await newest(queue) == before:
        pass
    await kill(server)
    with contextlib.suppress(grpc.RpcError):
        await redrive


async def newest(queue: Caller) -> str:
    """The id of the newest job."""
    return (await queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=1))).jobs[0].job_id


async def consistent(queue: Caller) -> int:
    """Check that marks and new jobs belong together one to one; gives how many there are."""
    jobs = await everything(queue)
    dead = [job for job in jobs if job.state == job_pb2.JOB_STATE_FAILED]
    again = {job.job_id for job in jobs if job.state != job_pb2.JOB_STATE_FAILED}
    marks = [job.redriven_by for job in dead if job.redriven_by]
    assert len(dead) == DEAD
    assert len(marks) == len(set(marks))
    assert set(marks) == again
    return len(again)
