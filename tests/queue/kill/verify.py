"""A server held against the journal of what earlier lives of it acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from tests.queue.kill.journal import Journal
from tests.queue.wire import Caller, within

AT_ONCE = 16


async def verify(queue: Caller, journal: Journal, job_ids: Iterable[str]) -> None:
    """Raises AssertionError unless each job is as the journal has it."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(job_id: str) -> None:
        async with turns:
            await within(verify_job(queue, journal, job_id))

    async with asyncio.TaskGroup() as group:
        for job_id in job_ids:
            group.create_task(one(job_id))


async def verify_job(queue: Caller, journal: Journal, job_id: str) -> None:
    """One job: its request id, its end and result, its events without a gap and as they were seen."""
    response = await queue.stub.GetJob(queue_pb2.GetJobRequest(job_id=job_id))
    job = response.job
    request_id = journal.requests.get(job_id)
    if request_id:
        assert (await queue.enqueue(request_id)).job_id == job_id, f"request {request_id} made another job than {job_id}"
    said = journal.said[job_id]
    if "end" in said:
        state = job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
        assert (state, response.result) == (said["end"], said["result"]), f"{job_id} is {state}, acknowledged was {said}"
    events = await history(queue, job_id, job.last_sequence)
    assert list(events) == list(range(1, len(events) + 1)), f"the events of {job_id} have gaps: {events}"
    assert len(events) >= job.last_sequence, f"{job_id} has {job.last_sequence} events, shown were {events}"
    wrong = {sequence: name for sequence, name in journal.seen[job_id].items() if events.get(sequence) != name}
    assert not wrong, f"events {wrong} of {job_id} were seen, now they are {events}"


async def history(queue: Caller, job_id: str, last: int) -> dict[int, str]:
    """The names of a job's state events up to a sequence, in the order in which they came."""
    events: dict[int, str] = {}
    watch = queue.watch(job_id)
    async for response in watch:
        name = str(response.event.WhichOneof("event"))
        if name != "progress":
            events.setdefault(response.event.sequence, name)
        if response.event.sequence >= last:
            break
    watch.cancel()
    return events
