"""ImageService over the real wire, with the four real services behind it."""

from __future__ import annotations

import asyncio
import io
import uuid
from typing import Any

import grpc
import pytest
from PIL import Image

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.runtime import calls, errors
from tests.gateway.suite import Suite, to_end
from tests.support.people import Person, sign_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_prompt_becomes_a_picture(person: Person) -> None:
    """Ensures the whole flow: accepted, drawn, finished picture, and the same picture to be had later."""
    events = await to_end(person.generate("a red heart", seed=7, previews=2))
    kinds = [event.WhichOneof("event") for event in events]
    assert (kinds[0], kinds[-2:]) == ("accepted", ["image", "finished"])
    assert {"drawing", "progress"} <= set(kinds)
    image = events[-2].image
    assert Image.open(io.BytesIO(image.data)).size == (256, 256)
    assert (image.ref.seed, events[-1].finished.steps) == (7, 8)
    request = images_pb2.GetImageRequest(generation_id=events[0].accepted.generation_id)
    fetched = await calls.call(person.images.GetImage, request, metadata=person.metadata)
    assert fetched.image.data == image.data


async def test_a_retry_is_one_generation_and_one_charge(suite: Suite, person: Person) -> None:
    """Ensures that a request id given twice is drawn once, charged once, and gets the same picture though no seed was named."""
    request_id = uuid.uuid4().hex
    first, second = await asyncio.gather(*(to_end(person.generate("a cat", request_id=request_id)) for _ in range(2)))
    assert first[0].accepted.generation_id == second[0].accepted.generation_id
    assert {first[0].accepted.replayed, second[0].accepted.replayed} == {True, False}
    assert first[-2].image.data == second[-2].image.data
    later = await to_end(person.generate("a cat", request_id=request_id))
    assert later[-2].image.data == first[-2].image.data
    with pytest.raises(errors.RequestIdReused):
        await to_end(person.generate("a dog", request_id=request_id))


async def test_what_another_account_made_does_not_exist(channel: grpc.aio.Channel, person: Person) -> None:
    """Ensures that an id alone opens nothing: read, cancel and picture are refused as for an id that never was."""
    identifier = (await to_end(person.generate("a cat")))[0].accepted.generation_id
    stranger = await sign_up(channel)
    with pytest.raises(errors.JobNotFound):
        await calls.call(
            stranger.images.GetGeneration,
            images_pb2.GetGenerationRequest(generation_id=identifier),
            metadata=stranger.metadata,
        )
    with pytest.raises(errors.JobNotFound):
        await calls.call(
            stranger.images.CancelGeneration,
            images_pb2.CancelGenerationRequest(generation_id=identifier),
            metadata=stranger.metadata,
        )
    with pytest.raises(errors.ImageNotFound):
        await calls.call(
            stranger.images.GetImage, images_pb2.GetImageRequest(generation_id=identifier), metadata=stranger.metadata
        )
    listed = await calls.call(stranger.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=stranger.metadata)
    assert not listed.generations


async def test_ones_own_generations_are_listed_in_pages(person: Person) -> None:
    """Ensures that a person finds again what they made, newest first, with state and pictures."""
    made = [(await to_end(person.generate(f"picture {number}", steps=1)))[0].accepted.generation_id for number in range(3)]
    listed, token = [], ""
    while True:
        request = images_pb2.ListGenerationsRequest(page_size=2, page_token=token)
        page = await calls.call(person.images.ListGenerations, request, metadata=person.metadata)
        listed += [generation.generation_id for generation in page.generations]
        if not (token := page.next_page_token):
            break
    assert listed == made[::-1]
    asked = images_pb2.GetGenerationRequest(generation_id=made[0])
    found = (await calls.call(person.images.GetGeneration, asked, metadata=person.metadata)).generation
    assert (found.state, len(found.images)) == (job_pb2.JOB_STATE_SUCCEEDED, 1)
    with pytest.raises(errors.ImageNotFound):
        await calls.call(
            person.images.GetImage,
            images_pb2.GetImageRequest(generation_id=made[0], image_index=5),
            metadata=person.metadata,
        )
    with pytest.raises(errors.JobFinished):
        await calls.call(
            person.images.CancelGeneration,
            images_pb2.CancelGenerationRequest(generation_id=made[0]),
            metadata=person.metadata,
        )


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ({"model": "no-such-model"}, errors.ModelNotFound, "tiny"),
        ({"width": 257, "height": 256}, errors.SizeUnsupported, "256x256"),
        ({"steps": 101}, errors.FieldInvalid, "steps"),
        ({"images": 11}, errors.FieldInvalid, "images"),
    ],
)
async def test_what_cannot_be_drawn_is_refused_before_it_is_queued(
    person: Person, spec: dict[str, Any], error: type[errors.MezzotintError], says: str
) -> None:
    """Ensures a clear refusal that says what would do, and that nothing was accepted."""
    with pytest.raises(error, match=says):
        await to_end(person.generate("a cat", **spec))
    listed = await calls.call(person.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=person.metadata)
    assert not listed.generations


async def test_a_key_without_the_scope_is_refused(channel: grpc.aio.Channel) -> None:
    """Ensures that a key that may only look cannot draw, and is told which scope it lacks."""
    person = await sign_up(channel, ("images:read",))
    with pytest.raises(errors.ScopeMissing) as caught:
        await to_end(person.generate("a cat"))
    assert caught.value.metadata["scope"] == "images:generate"
