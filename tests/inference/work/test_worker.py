"""The worker over the wire, with a queue that says what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mezzotint.api.inference.v1.generation_pb2 import GenerationResult, GenerationSpec
from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import write_tiny_model
from tests.inference.work.scripted_queue import Conversation, ScriptedQueue, scripted_queue
from tests.support.serving import serving


@pytest.fixture
async def queue(settings: InferenceSettings, authority: Authority) -> AsyncIterator[ScriptedQueue]:
    """A queue with one worker over the tiny model."""
    async with working(settings, authority) as queue:
        yield queue


@asynccontextmanager
async def working(settings: InferenceSettings, authority: Authority) -> AsyncIterator[ScriptedQueue]:
    """A queue with one worker."""
    async with AsyncExitStack() as stack:
        queue, port = await stack.enter_async_context(
            scripted_queue(authority, ServiceSettings(data=settings.data, drain_seconds=0))
        )
        mine = settings.model_copy(update={"queue_address": f"127.0.0.1:{port}"})
        await stack.enter_async_context(serving(run, mine))
        yield queue


async def begin(queue: ScriptedQueue, *, heartbeat_seconds: float = 5) -> Conversation:
    """A stream whose worker was welcomed and has asked for work."""
    talk = await queue.conversation()
    assert (await talk.hear("hello")).slots == 4
    talk.welcome(heartbeat_seconds=heartbeat_seconds)
    assert (await talk.hear("credit")).jobs == 4
    return talk


def spec(**fields: object) -> bytes:
    return GenerationSpec(**{"prompt": "red heart", "seed": 7, **fields}).SerializeToString()  # type: ignore[arg-type]  # by name


async def test_worker_asks_for_what_several_calls_have_room_for(settings: InferenceSettings, authority: Authority) -> None:
    """With more calls held there are as many times the slots, and credits for all of them at once."""
    async with working(settings.model_copy(update={"calls_held": 3}), authority) as queue:
        talk = await queue.conversation()
        assert (await talk.hear("hello")).slots == 12
        talk.welcome(heartbeat_seconds=5)
        assert (await talk.hear("credit")).jobs == 12


async def test_job_is_drawn_stored_and_completed(queue: ScriptedQueue, settings: InferenceSettings) -> None:
    """A leased job reports each step, lies in the store before Complete, and its end frees a credit."""
    talk = await begin(queue)
    talk.lease("job_1", spec(images=2, previews=1, steps=4))
    report = await talk.hear("progress")
    assert (report.progress.attempt, report.progress.steps) == (1, 4)
    complete = await talk.completion()
    result = GenerationResult.FromString(complete.result)
    assert [image.key for image in result.images] == ["job_1/1/0.png", "job_1/1/1.png"]
    assert [image.seed for image in result.images] == [7, 8]
    assert (result.model, result.steps) == ("tiny@1", 4)
    assert complete.cost_ms >= 1
    for image in result.images:
        assert (settings.data / "images" / image.key).stat().st_size == image.size_bytes


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff", "FIELD_INVALID"),
        (b"", "FIELD_INVALID"),
        (spec(prompt="bell \x07"), "FIELD_INVALID"),
        (spec(width=64, height=64), "SIZE_UNSUPPORTED"),
        (spec(model="nobody"), "MODEL_NOT_FOUND"),
    ],
)
async def test_payload_that_cannot_work_fails_for_good(queue: ScriptedQueue, payload: bytes, reason: str) -> None:
    """A payload that no attempt can serve fails the job permanently, with the reason, and the worker goes on."""
    talk = await begin(queue)
    talk.lease("job_1", payload)
    failure = (await talk.hear("fail")).failure
    assert (failure.failure_class, failure.reason) == (job_pb2.FAILURE_CLASS_PERMANENT, reason)
    talk.lease("job_2", spec())
    assert (await talk.completion()).lease.job_id == "job_2"


async def test_steps_over_the_models_limit_fail_for_good(
    settings: InferenceSettings, models: Path, authority: Authority
) -> None:
    """Steps that the contract admits and the model does not are refused with the model's limit."""
    write_tiny_model(models / "short", steps_max=10)
    async with working(settings, authority) as queue:
        talk = await begin(queue)
        talk.lease("job_1", spec(model="short", steps=11))
        failure = (await talk.hear("fail")).failure
    assert failure.reason == "FIELD_INVALID"
    assert "10 steps at most" in failure.message


async def test_cancelled_lease_is_dropped_without_an_answer(
    settings: InferenceSettings, models: Path, authority: Authority
) -> None:
    """CancelLease in the middle of a picture stops it: its credits come back and no ending of it is sent."""
    write_tiny_model(models / "slow", work=100)
    async with working(settings, authority) as queue:
        talk = await begin(queue)
        refs = [talk.lease(f"job_{i}", spec(model="slow", steps=100)) for i in range(4)]
        await talk.hear("progress")
        for ref in refs:
            talk.say(cancel=work_pb2.CancelLease(lease=ref, reason="a test wants it"))
        regained = 0
        while regained < 4:
            regained += (await talk.hear("credit")).jobs
        talk.lease("job_9", spec())
        assert (await talk.completion()).lease.job_id == "job_9"


async def test_broken_stream_is_opened_again_and_the_ending_repeated(queue: ScriptedQueue) -> None:
    """An ending that was not acknowledged on one stream is named in the next Hello and sent again, once Welcome confirms it."""
    talk = await begin(queue)
    talk.settles = False
    ref = talk.lease("job_1", spec())
    first = await talk.completion()
    talk.hang_up()
    again = await queue.conversation()
    hello = await again.hear("hello")
    assert list(hello.held) == [ref]
    again.welcome(ref)
    assert await again.completion() == first
    again.hang_up()
    last = await queue.conversation()
    assert not (await last.hear("hello")).held


async def test_lease_that_was_lost_meanwhile_is_dropped(queue: ScriptedQueue) -> None:
    """A held lease that Welcome does not name is forgotten, and its ending is not sent."""
    talk = await begin(queue)
    talk.settles = False
    talk.lease("job_1", spec())
    await talk.completion()
    talk.hang_up()
    again = await queue.conversation()
    assert (await again.hear("hello")).held
    again.welcome(heartbeat_seconds=0.05)
    assert not (await again.hear("heartbeat")).held


async def test_refused_ending_is_forgotten(queue: ScriptedQueue) -> None:
    """A Settled that refuses an ending ends the matter."""
    talk = await queue.conversation()
    await talk.hear("hello")
    talk.welcome(heartbeat_seconds=0.05)
    talk.settles = False
    ref = talk.lease("job_1", spec())
    await talk.completion()
    talk.settle(ref, accepted=False, reason="LEASE_STALE")
    while (await talk.hear("heartbeat")).held:
        pass


async def test_newer_lease_of_a_job_replaces_the_older(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """When a job comes again with a higher token, only the newer lease is worked on and completed."""
    write_tiny_model(models / "slow", work=40)
    async with working(settings, authority) as queue:
        talk = await begin(queue)
        talk.lease("job_1", spec(model="slow", steps=30), token=1)
        await talk.hear("progress")
        talk.lease("job_1", spec(model="slow", steps=30), token=2)
        assert (await talk.completion()).lease.fencing_token == 2


async def test_store_that_refuses_costs_an_attempt(queue: ScriptedQueue, settings: InferenceSettings) -> None:
    """When a picture cannot be stored the attempt fails and another may work; the worker goes on."""
    (settings.data / "images").mkdir(parents=True, exist_ok=True)
    (settings.data / "images/job_1").write_text("a file where the job's folder should be")
    talk = await begin(queue)
    talk.lease("job_1", spec())
    failure = (await talk.hear("fail")).failure
    assert (failure.failure_class, failure.reason) == (job_pb2.FAILURE_CLASS_RETRYABLE, "INTERNAL")
    talk.lease("job_2", spec())
    assert (await talk.completion()).lease.job_id == "job_2"


async def test_drain_of_the_queue(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """At Drain the worker asks for nothing more, finishes what it draws, hands back what waits, and comes again later."""
    write_tiny_model(models / "slow", work=20)
    async with working(settings, authority) as queue:
        talk = await begin(queue, heartbeat_seconds=0.05)
        running = talk.lease("job_running", spec(model="slow", steps=30, images=4), tier="pro")
        await talk.hear("progress")
        waiting = talk.lease("job_waiting", spec(model="slow"))
        while len((await talk.hear("heartbeat")).held) < 2:
            pass
        talk.say(drain=work_pb2.Drain())
        assert (await talk.hear("hand_back")).lease == waiting
        assert (await talk.completion()).lease == running
        await talk.ended()
        again = await queue.conversation()
        assert not (await again.hear("hello")).held


async def test_queue_that_does_not_keep_the_protocol(queue: ScriptedQueue) -> None:
    """A queue that says something else before Welcome, or sends heartbeats of no interval, does the worker no harm."""
    talk = await queue.conversation()
    talk.say(drain=work_pb2.Drain())
    again = await queue.conversation()
    again.welcome(heartbeat_seconds=0)
    again.say(cancel=work_pb2.CancelLease(lease=work_pb2.LeaseRef(job_id="nobody's", fencing_token=9)))
    again.settle(work_pb2.LeaseRef(job_id="nobody's", fencing_token=9), accepted=False)
    again.say()
    again.lease("job_1", spec())
    assert (await again.completion()).lease.job_id == "job_1"


async def test_stop_hands_back_what_it_cannot_finish(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """At a stop the worker hands back what waits at once and the rest when its time is over, and ends the stream."""
    write_tiny_model(models / "slow", work=100)
    settings = settings.model_copy(update={"drain_seconds": 1.5})
    async with AsyncExitStack() as outer:
        queue, port = await outer.enter_async_context(
            scripted_queue(authority, ServiceSettings(data=settings.data, drain_seconds=0))
        )
        async with AsyncExitStack() as inner:
            mine = settings.model_copy(update={"queue_address": f"127.0.0.1:{port}"})
            await inner.enter_async_context(serving(run, mine))
            talk = await begin(queue, heartbeat_seconds=0.05)
            running = talk.lease("job_running", spec(model="slow", steps=100, images=4), tier="pro")
            await talk.hear("progress")
            waiting = talk.lease("job_waiting", spec(model="slow", steps=100))
            while len((await talk.hear("heartbeat")).held) < 2:
                pass
            stopping = inner.pop_all()
            closing = asyncio.create_task(stopping.aclose())
            assert (await talk.hear("hand_back")).lease == waiting
            assert (await talk.hear("hand_back")).lease == running
            await talk.ended()
            await closing


async def full(queue: ScriptedQueue, *, takes_urgent: bool = True) -> Conversation:
    """A stream of a worker all of whose slots are taken by long free jobs."""
    talk = await queue.conversation()
    await talk.hear("hello")
    talk.welcome(heartbeat_seconds=0.05, takes_urgent=takes_urgent)
    assert (await talk.hear("credit")).jobs == 4
    for number in range(4):
        talk.lease(f"free_{number}", spec(model="slow", steps=100))
    return talk


async def test_urgent_jobs_take_the_slots_of_free_ones(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """A full worker asks for jobs of better tiers, as many as free ones hold slots, and draws them before those."""
    write_tiny_model(models / "slow", work=40)
    async with working(settings, authority) as queue:
        talk = await full(queue)
        said = await talk.hear("urgent")
        while said.jobs < 4:
            said = await talk.hear("urgent")
        assert list(said.tiers) == ["enterprise", "plus", "pro"]
        talk.lease("paid", spec(model="slow", steps=4), tier="pro", urgent=True)
        assert (await talk.hear("urgent")).jobs == 3
        assert (await talk.completion()).lease.job_id == "paid"
        # No credit came of it: the slot goes back to the one who made way, who is drawn to the end.
        assert {(await talk.completion()).lease.job_id for _ in range(4)} == {f"free_{number}" for number in range(4)}


async def test_an_older_queue_is_told_nothing_of_urgent_jobs(
    settings: InferenceSettings, models: Path, authority: Authority
) -> None:
    """A queue that does not say that it understands them gets no message that it would end the stream for."""
    write_tiny_model(models / "slow", work=5)
    async with working(settings, authority) as queue:
        talk = await full(queue, takes_urgent=False)
        said = set()
        while "completions" not in said:
            message = await asyncio.wait_for(talk.said.get(), 20)
            assert message is not None
            said.add(message.WhichOneof("message"))
        assert "urgent" not in said


@pytest.mark.parametrize("change", [{"mode": "request"}, {"aside_max": 0}])
async def test_where_nobody_makes_way_nothing_is_urgent(
    settings: InferenceSettings, models: Path, authority: Authority, change: dict[str, object]
) -> None:
    """In modes where a picture keeps its slot, and where none may be put aside, the worker asks by its free slots alone."""
    write_tiny_model(models / "slow", work=5)
    async with working(settings.model_copy(update=change), authority) as queue:
        talk = await full(queue)
        said = set()
        while "completions" not in said:
            message = await asyncio.wait_for(talk.said.get(), 20)
            assert message is not None
            said.add(message.WhichOneof("message"))
        assert "urgent" not in said
