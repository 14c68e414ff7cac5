"""A picture through all five services, and what happens when its owner changes their mind."""

from __future__ import annotations

import asyncio
import io
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from PIL import Image

from mezzotint.api.auth.v1 import account_pb2
from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.runtime import calls, errors
from tests.e2e.events import kinds, to_end, until
from tests.support.people import Person, sign_up

if TYPE_CHECKING:
    from mezzotint.api.queue.v1 import queue_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")
# Long enough that a test acts before the last step.
SLOW: dict[str, Any] = {"steps": 100, "images": 2, "guidance": 3.0}


async def final_state(queue: queue_pb2_grpc.QueueServiceAsyncStub, job_id: str) -> job_pb2.JobEvent:
    """Wait for a job's last event."""
    last = job_pb2.JobEvent()
    async for response in calls.stream(queue.WatchJob, queue_pb2.WatchJobRequest(job_id=job_id), timeout=60):
        last = response.event
    return last


async def test_a_prompt_becomes_a_picture(person: Person) -> None:
    """Ensures the whole way: accepted, drawn with progress and previews, stored, streamed, and there to be fetched later."""
    events = await to_end(person.generate("a red heart", seed=7, previews=3))
    assert [kind for kind in kinds(events) if kind != "waiting"] == ["accepted", "drawing", "progress", "image", "finished"]
    assert any(event.progress.preview for event in events)
    (finished,) = [event.image for event in events if event.WhichOneof("event") == "image"]
    picture = Image.open(io.BytesIO(finished.data))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (256, 256), "RGBA")
    assert len(finished.data) == finished.ref.size_bytes

    identifier = events[0].accepted.generation_id
    fetched = await calls.call(
        person.images.GetImage, images_pb2.GetImageRequest(generation_id=identifier), metadata=person.metadata
    )
    assert fetched.image.data == finished.data
    listed = await calls.call(person.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=person.metadata)
    assert [each.generation_id for each in listed.generations] == [identifier]


async def test_the_same_seed_gives_the_same_picture(person: Person) -> None:
    """Ensures that a picture can be drawn again."""
    first, second = [await to_end(person.generate("a cat", seed=11, steps=4)) for _ in range(2)]
    assert first[-2].image.data == second[-2].image.data


async def test_a_cancelled_generation_frees_its_slots(person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub) -> None:
    """Ensures that a cancel in the middle of a picture ends it with its reason and lets the next one through at once."""
    call = person.generate("a slow picture", **SLOW)
    events = await until(call, "progress")
    identifier = events[0].accepted.generation_id
    request = images_pb2.CancelGenerationRequest(generation_id=identifier)
    cancelled = await calls.call(person.images.CancelGeneration, request, metadata=person.metadata)
    assert cancelled.generation.state == job_pb2.JOB_STATE_CANCELLED
    with pytest.raises(errors.Cancelled):
        await to_end(call)
    await to_end(person.generate("the next one", steps=1))
    stats = await anext(calls.stream(queue.WatchStats, queue_pb2.WatchStatsRequest()))
    assert sum(tier.running for tier in stats.tiers) == 0


async def test_hanging_up_cancels_the_generation(person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub) -> None:
    """Ensures that nothing is drawn for nobody."""
    call = person.generate("a slow picture", **SLOW)
    events = await until(call, "progress")
    call.cancel()
    last = await final_state(queue, events[0].accepted.generation_id)
    assert last.WhichOneof("event") == "cancelled"


async def test_a_generation_goes_on_without_its_owner_when_asked_to(
    person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub
) -> None:
    """Ensures that keep_on_disconnect outlives the call."""
    call = person.generate("a cat", keep=True, steps=10)
    identifier = (await until(call, "accepted"))[0].accepted.generation_id
    call.cancel()
    assert (await final_state(queue, identifier)).WhichOneof("event") == "succeeded"
    request = images_pb2.GetImageRequest(generation_id=identifier)
    assert (await calls.call(person.images.GetImage, request, metadata=person.metadata)).image.data


async def test_the_same_request_id_twice_is_one_generation(person: Person) -> None:
    """Ensures that a retry joins the first call, gets the same picture, and that another body is refused."""
    request_id = uuid.uuid4().hex
    first, second = await asyncio.gather(*(to_end(person.generate("a cat", request_id=request_id, steps=8)) for _ in range(2)))
    assert first[0].accepted.generation_id == second[0].accepted.generation_id
    assert {first[0].accepted.replayed, second[0].accepted.replayed} == {True, False}
    assert first[-2].image.data == second[-2].image.data
    with pytest.raises(errors.RequestIdReused):
        await to_end(person.generate("a dog", request_id=request_id, steps=8))
    listed = await calls.call(person.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=person.metadata)
    assert len(listed.generations) == 1


async def test_a_revoked_key_is_refused_within_a_second(person: Person) -> None:
    """Ensures that a key the gateway had verified and kept stops working once auth pushes its revocation."""
    await to_end(person.generate("a cat", steps=1))
    signed = await calls.call(
        person.accounts.SignIn, account_pb2.SignInRequest(email=person.email, password="correct horse battery")
    )
    session = (("authorization", f"Bearer {signed.tokens.access_token}"),)
    await calls.call(person.accounts.RevokeApiKey, account_pb2.RevokeApiKeyRequest(key_id=person.key_id), metadata=session)
    async with asyncio.timeout(1):
        while True:
            try:
                await calls.call(person.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=person.metadata)
            except errors.CredentialRevoked:
                break


async def test_a_free_account_over_its_quota_is_told_when_to_come_back(person: Person) -> None:
    """Ensures RESOURCE_EXHAUSTED with RetryInfo and the limit's name, and nothing drawn for it."""

    async def insist() -> None:
        for _ in range(30):
            await until(person.generate("a cat", steps=1), "accepted")

    with pytest.raises(errors.QuotaExceeded) as denied:
        await insist()
    assert denied.value.retry_after is not None
    assert 0 < denied.value.retry_after <= 60
    assert denied.value.metadata["limit"] == "free-requests-per-minute"


async def test_another_accounts_generation_does_not_exist(person: Person, gateway: grpc.aio.Channel) -> None:
    """Ensures that ids of others are worth nothing."""
    events = await to_end(person.generate("a cat", steps=1))
    identifier = events[0].accepted.generation_id
    stranger = await sign_up(gateway)
    images: Any = stranger.images
    for method, request in (
        (images.GetGeneration, images_pb2.GetGenerationRequest(generation_id=identifier)),
        (images.CancelGeneration, images_pb2.CancelGenerationRequest(generation_id=identifier)),
        (images.GetImage, images_pb2.GetImageRequest(generation_id=identifier)),
    ):
        with pytest.raises((errors.JobNotFound, errors.ImageNotFound)):
            await calls.call(method, request, metadata=stranger.metadata)
