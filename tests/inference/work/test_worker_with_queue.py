"""The worker and the real queue together, each behind its own port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mezzotint.api.inference.v1.generation_pb2 import GenerationResult, GenerationSpec
from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.queue.app import run as run_queue
from mezzotint.queue.settings import QueueSettings
from mezzotint.runtime import calls
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import write_tiny_model
from tests.inference.work.relay import Relay, relay
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceAsyncStub

GUARD_SECONDS = 20
# Pictures with guidance that a call of eight rows has room for.
SLOTS = 4


@dataclass
class Pair:
    """A queue, and a worker that reaches it through a relay that a test can cut."""

    queue: QueueServiceAsyncStub
    relay: Relay

    async def enqueue(self, request_id: str, tier: str = "free", **fields: Any) -> str:
        """Enqueue a job and return its id."""
        payload = GenerationSpec(**{"prompt": "red heart", **fields}).SerializeToString()
        job = queue_pb2.NewJob(
            request_id=request_id, account_id="account", tier=tier, kind="image.generate", payload=payload, cost_ms=100
        )
        return (await calls.call(self.queue.EnqueueJob, queue_pb2.EnqueueJobRequest(job=job))).job.job_id

    async def watch(self, job_id: str) -> AsyncIterator[job_pb2.JobEvent]:
        """The job's events, to the end."""
        async with asyncio.timeout(GUARD_SECONDS):
            async for response in calls.stream(self.queue.WatchJob, queue_pb2.WatchJobRequest(job_id=job_id)):
                yield response.event

    async def until(self, job_id: str, kind: str) -> Any:
        """The job's first event of a kind."""
        async for event in self.watch(job_id):
            if event.WhichOneof("event") == kind:
                return getattr(event, kind)
        raise AssertionError(f"the job ended without {kind}")


@pytest.fixture
async def pair(settings: InferenceSettings, models: Path, authority: Authority) -> AsyncIterator[Pair]:
    """A queue and a worker over a tiny model and a slow one."""
    write_tiny_model(models / "slow", work=40)
    async with AsyncExitStack() as stack:
        queue_settings = QueueSettings(data=settings.data, port=0, metrics_port=0, heartbeat_seconds=0.2, drain_seconds=1)
        port = await stack.enter_async_context(serving(run_queue, queue_settings))
        between = await stack.enter_async_context(relay(port))
        mine = settings.model_copy(update={"queue_address": f"127.0.0.1:{between.port}"})
        await stack.enter_async_context(serving(run, mine))
        channel = await stack.enter_async_context(connect(authority, port, "queue", identity="gateway"))
        yield Pair(QueueServiceStub(channel), between)


async def test_job_succeeds(pair: Pair, settings: InferenceSettings) -> None:
    """A job goes through: started, every step in order, a preview, and a result whose pictures lie in the store."""
    job_id = await pair.enqueue("one", images=2, steps=6, previews=1)
    events = [event async for event in pair.watch(job_id)]
    kinds = [event.WhichOneof("event") for event in events]
    assert [kind for kind in kinds if kind != "progress"] == ["queued", "started", "succeeded"]
    result = GenerationResult.FromString(events[-1].succeeded.result)
    assert [(settings.data / "images" / image.key).exists() for image in result.images] == [True, True]
    for index in (0, 1):
        steps = [event.progress.step for event in events if event.HasField("progress") and event.progress.image_index == index]
        assert steps == sorted(steps)
        assert steps[-1] == 6


async def test_invalid_job_fails_with_its_reason(pair: Pair) -> None:
    """A size that the model does not draw ends the job at the first attempt, with the reason that clients switch on."""
    job_id = await pair.enqueue("one", width=128, height=128)
    failed = await pair.until(job_id, "failed")
    assert failed.failure.reason == "SIZE_UNSUPPORTED"
    assert "256x256" in failed.failure.message


async def test_cancel_in_the_middle_of_a_picture(pair: Pair) -> None:
    """Cancelling a job that fills all slots lets the next one start, long before the first could have ended."""
    first = await pair.enqueue("one", model="slow", steps=100, images=10)
    await pair.until(first, "progress")
    second = await pair.enqueue("two")
    await calls.call(pair.queue.CancelJob, queue_pb2.CancelJobRequest(job_id=first))
    assert (await pair.until(first, "cancelled")) is not None
    assert (await pair.until(second, "succeeded")).result


async def test_job_outlives_its_stream(pair: Pair) -> None:
    """When the connection is cut in the middle of a picture, the worker comes back with it and the first attempt succeeds."""
    job_id = await pair.enqueue("one", model="slow", steps=60)
    await pair.until(job_id, "progress")
    pair.relay.cut()
    events = [event async for event in pair.watch(job_id)]
    assert events[-1].WhichOneof("event") == "succeeded"
    assert sum(event.WhichOneof("event") == "started" for event in events) == 1


async def test_job_finished_while_the_queue_was_away(pair: Pair) -> None:
    """A picture that is finished during an outage is told as soon as the queue is back."""
    job_id = await pair.enqueue("one", model="slow", steps=20)
    await pair.until(job_id, "progress")
    pair.relay.block()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pair.until(job_id, "succeeded"), 1.5)
    pair.relay.unblock()
    assert (await pair.until(job_id, "succeeded")).result


async def test_many_jobs_share_the_slots(pair: Pair) -> None:
    """More jobs than slots all succeed."""
    jobs = [await pair.enqueue(f"job {i}", steps=5, guidance=1.0 + i % 2) for i in range(24)]
    ended = await asyncio.gather(*(pair.until(job_id, "succeeded") for job_id in jobs))
    assert len(ended) == 24


async def test_a_paid_job_takes_the_slot_of_a_free_one(pair: Pair) -> None:
    """While free pictures fill the worker, a paid job is leased and drawn, and the free ones are drawn to their end."""
    free = [await pair.enqueue(f"free {i}", model="slow", steps=80) for i in range(SLOTS)]
    for job_id in free:
        await pair.until(job_id, "progress")
    waiting = await pair.enqueue("free too", steps=4)
    paid = await pair.enqueue("paid", tier="pro", model="slow", steps=4)
    assert (await pair.until(paid, "succeeded")).result
    asked = [queue_pb2.GetJobRequest(job_id=job_id) for job_id in (*free, waiting)]
    states = [(await pair.queue.GetJob(each)).job.state for each in asked]
    assert states == [*[job_pb2.JOB_STATE_RUNNING] * SLOTS, job_pb2.JOB_STATE_QUEUED]
    for job_id in (*free, waiting):
        assert (await pair.until(job_id, "succeeded")).result
