"""Pictures that come with requests: at the gRPC door, in the store, and out of it again."""

from __future__ import annotations

import asyncio
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mezzotint.api.images.v1.images_pb2 import GenerateImagesRequest
from mezzotint.api.inference.v1 import generation_pb2, inference_pb2
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, InputImage
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.gateway import catalogue, spec
from mezzotint.gateway.asked import asked_by
from mezzotint.gateway.events import may_be_redriven
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.gateway.uploads import KEPT_SECONDS, Uploads, keys_of, moved_out
from mezzotint.inference.graphs.memory import MIB, resident_bytes
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid, ImageNotFound
from mezzotint.runtime.interceptors.access import Principal
from tests.gateway.suite import Suite, to_end
from tests.inference.given_pictures import encoded, gradient, right_half
from tests.support.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALLER = Principal("a", "key", "free", frozenset())
IMAGE, MASK = InputImage(data=encoded(gradient())), InputImage(data=encoded(right_half()))


async def test_a_picture_becomes_a_picture_over_grpc(suite: Suite, person: Person) -> None:
    """Ensures that GenerateImages takes a picture and a white mask, and that both are gone from the store afterwards."""
    events = await to_end(person.generate("a red heart", steps=5, image=IMAGE, mask=MASK))
    with Image.open(io.BytesIO(events[-2].image.data)) as drawn:
        levels = np.asarray(drawn)
    np.testing.assert_array_equal(levels[:, :128], np.asarray(gradient())[:, :128])
    assert events[-1].finished.steps == 5
    assert list((suite.data / "images").glob("inputs/*")) == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": InputImage(key="inputs/anothers/image")}, "spec.image.key"),
        ({"image": IMAGE, "mask": InputImage(key="inputs/anothers/mask")}, "spec.mask.key"),
        ({"image": InputImage(data=b"x")}, "spec.image"),
        ({"image": IMAGE, "mask": InputImage(data=encoded(right_half(8, 8)))}, "spec.mask"),
    ],
)
async def test_what_end_users_cannot_send(person: Person, fields: dict[str, Any], field: str) -> None:
    """Ensures that nobody names a picture in the store, which may be another's, and that a worker's refusal names its field."""
    with pytest.raises(FieldInvalid) as caught:
        await to_end(person.generate("x", **fields))
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_pictures_are_named_and_not_carried() -> None:
    """Ensures that a payload stays small, the same for a retry, and another for another picture, account or request."""
    big = InputImage(data=bytes(8 * 1024 * 1024))
    names = set()
    for account, request, image in (("a", "r", big), ("b", "r", big), ("a", "s", big), ("a", "r", IMAGE)):
        asked = [GenerationSpec(prompt="x", image=image, mask=MASK) for _ in range(2)]
        inputs = [moved_out(each, account, request) for each in asked]
        assert spec.payload(asked[0]) == spec.payload(asked[1])
        assert len(spec.payload(asked[0])) < 300
        assert list(inputs[0]) == keys_of(asked[0])
        assert list(inputs[0].values()) == [image.data, MASK.data]
        names.add(asked[0].image.key)
    assert len(names) == 4
    assert moved_out(GenerationSpec(prompt="x"), "a", "r") == {}


async def test_strength_is_part_of_the_cost() -> None:
    """Ensures that fewer steps cost less."""
    settings = GatewaySettings(step_cost_ms=10, image_cost_ms=1)
    assert spec.cost_ms(GenerationSpec(images=2, steps=20, strength=0.5), settings) == 202
    assert spec.cost_ms(GenerationSpec(images=2, steps=20), settings) == 402


async def test_what_was_forgotten_is_swept(tmp_path: Path) -> None:
    """Ensures that only pictures that came with requests, and only old ones, are deleted."""
    blobs, folder = Blobs.open("", tmp_path), tmp_path / "images"
    for key in ("inputs/old/image", "inputs/new/image", "job_1/1/0.png"):
        await blobs.put(key, b"picture")
    long_ago = time.time() - KEPT_SECONDS - 60
    for key in ("inputs/old/image", "job_1/1/0.png"):
        os.utime(folder / key, (long_ago, long_ago))
    await Uploads(blobs).sweep()
    assert not (folder / "inputs/old/image").exists()
    assert await blobs.get("inputs/new/image") == await blobs.get("job_1/1/0.png") == b"picture"
    await Uploads(blobs).forget(
        GenerationSpec(image=InputImage(key="inputs/new/image"), mask=InputImage(key="inputs/none/mask"))
    )
    with pytest.raises(ImageNotFound):
        await blobs.get("inputs/new/image")


async def test_models_without_an_encoder_are_refused_before_it_is_queued() -> None:
    """Ensures that the gateway knows which models begin from pictures, and names them."""
    models = [inference_pb2.Model(name="blind"), inference_pb2.Model(name="seeing", takes_images=True)]
    asked = generation_pb2.GenerationSpec(model="blind", image=IMAGE)
    found = catalogue.fault(asked, models)
    assert isinstance(found, FieldInvalid)
    assert "these can: seeing" in found.message
    asked.model = "seeing"
    assert catalogue.fault(asked, models) is None
    assert catalogue.fault(generation_pb2.GenerationSpec(model="blind"), models) is None


@pytest.mark.parametrize(
    ("failure_class", "kept"),
    [
        (job_pb2.FAILURE_CLASS_RETRYABLE, True),
        (job_pb2.FAILURE_CLASS_WORKER_LOST, True),
        (job_pb2.FAILURE_CLASS_PERMANENT, False),
    ],
)
async def test_jobs_that_may_be_redriven_keep_their_pictures(failure_class: job_pb2.FailureClass.ValueType, kept: bool) -> None:
    """Ensures that an operator who mended the cause can have such a job done again, and that nothing else is kept."""
    failed = job_pb2.Failed(failure=job_pb2.Failure(failure_class=failure_class))
    assert may_be_redriven(job_pb2.JobEvent(failed=failed)) == kept
    assert not may_be_redriven(job_pb2.JobEvent(succeeded=job_pb2.Succeeded()))


async def test_nothing_of_a_message_is_kept() -> None:
    """Ensures that what is asked for keeps no message's memory, and that pictures are hashed while the event loop goes on."""
    data, turns = b"1" * (8 * MIB), 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(turning())
    before, kept = resident_bytes(), []
    for number in range(16):
        request = GenerateImagesRequest(request_id=f"r{number}", spec=GenerationSpec(prompt="x", image=InputImage(data=data)))
        turns = 0
        asked = await asked_by(CALLER, request, lambda prefix: prefix)
        assert turns
        assert list(asked.inputs.values()) == [data]
        asked.inputs.clear()
        del request
        kept.append(asked)
    others.cancel()
    assert resident_bytes() - before < 64 * MIB
    assert len({asked.key for asked in kept}) == 16
