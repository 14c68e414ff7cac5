"""Services killed in the middle of a picture: nothing that was accepted is lost, and nothing is done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.runtime import calls
from mezzotint_client.suite import Suite
from tests.e2e.events import Response, to_end, until
from tests.support.people import Person

if TYPE_CHECKING:
    from mezzotint.api.queue.v1 import queue_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOW: dict[str, Any] = {"steps": 100, "guidance": 3.0, "seed": 3}


def attempts(events: list[Response]) -> list[int]:
    """The attempts that began, in order."""
    return [event.drawing.attempt for event in events if event.WhichOneof("event") == "drawing"]


async def history(queue: queue_pb2_grpc.QueueServiceAsyncStub, job_id: str) -> list[job_pb2.JobEvent]:
    """Every stored event of a finished job."""
    watch = calls.stream(queue.WatchJob, queue_pb2.WatchJobRequest(job_id=job_id), timeout=30)
    return [response.event async for response in watch]


async def test_a_job_survives_the_death_of_the_queue(
    suite: Suite, person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub
) -> None:
    """Ensures that after kill -9 the worker keeps its lease, the client's stream goes on, and the job finishes once."""
    call = person.generate("a rocket", **SLOW)
    events = await until(call, "progress")
    suite.kill("queue")
    await suite.restart("queue")
    events += await to_end(call)
    assert events[-1].WhichOneof("event") == "finished"
    assert sum(event.WhichOneof("event") == "image" for event in events) == 1
    stored = await history(queue, events[0].accepted.generation_id)
    assert [event.sequence for event in stored] == list(range(1, len(stored) + 1))
    assert [event.WhichOneof("event") for event in stored].count("succeeded") == 1
    assert [event.WhichOneof("event") for event in stored].count("started") == 1


async def test_a_job_is_drawn_again_when_its_worker_dies(
    suite: Suite, person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub
) -> None:
    """Ensures that after kill -9 of inference another attempt draws the picture, and the client is told."""
    call = person.generate("a rocket", **SLOW)
    events = await until(call, "progress")
    suite.kill("inference")
    await suite.restart("inference")
    events += await to_end(call)
    assert attempts(events) == [1, 2]
    assert any(event.waiting.retrying for event in events)
    assert events[-1].WhichOneof("event") == "finished"
    stored = await history(queue, events[0].accepted.generation_id)
    lost = [event.queued.previous_attempt for event in stored if event.queued.HasField("previous_attempt")]
    assert [failure.failure_class for failure in lost] == [job_pb2.FAILURE_CLASS_WORKER_LOST]


async def test_accounts_keys_and_pictures_outlive_a_restart_of_everything(suite: Suite, person: Person) -> None:
    """Ensures that an orderly restart of every service, one after another, loses nothing and breaks no retried call."""
    before = await to_end(person.generate("a cat", steps=2))
    for service in ("auth", "ratelimit", "queue", "inference"):
        await suite.restart(service)
    after = await to_end(person.generate("a cat", steps=2))
    assert after[-1].WhichOneof("event") == "finished"
    assert before[0].accepted.generation_id != after[0].accepted.generation_id


async def test_a_worker_that_stops_in_order_hands_its_work_back(suite: Suite, person: Person) -> None:
    """Ensures that SIGTERM to inference costs the job neither its life nor a failed attempt's place."""
    call = person.generate("a rocket", **SLOW)
    events = await until(call, "progress")
    await suite.restart("inference")
    events += await to_end(call)
    assert events[-1].WhichOneof("event") == "finished"
