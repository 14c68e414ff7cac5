"""Image-to-image, inpainting and variations over the wire, with a tiny model."""

from __future__ import annotations

import asyncio
import io
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from mezzotint.api.inference.v1 import inference_pb2
from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    MASK_KIND_TRANSPARENT,
    SCHEDULER_DPMPP_2M,
    SCHEDULER_LCM,
    GenerationSpec,
    InputImage,
)
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest
from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.pictures.request import resolve
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid
from mezzotint.runtime.tls import Authority
from tests.inference.given_pictures import bomb, encoded, gradient, right_half
from tests.inference.test_service import generate
from tests.inference.tiny_model import write_tiny_model
from tests.inference.tiny_pipelines import SD, SD3, SDXL, write_pipeline
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceAsyncStub

GIVEN = gradient()
IMAGE, MASK = InputImage(data=encoded(GIVEN)), InputImage(data=encoded(right_half()))


def levels(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA")).astype(int)


async def drawn(stub: InferenceServiceAsyncStub, **fields: Any) -> Any:
    """The levels of the one picture of a request, (256, 256, 4)."""
    events = await generate(stub, GenerationSpec(**{"prompt": "x", "seed": 3, "steps": 10, **fields}))
    return levels(events[-1].image.data)


async def test_less_strength_stays_closer(inference: InferenceServiceAsyncStub) -> None:
    """The picture goes further from the input with more strength, and with all of it is the one drawn from noise."""
    strengths = (0.1, 0.5, 0.9)
    pictures = [await drawn(inference, image=IMAGE, strength=strength) for strength in strengths]
    near, middle, far = (np.abs(picture - np.asarray(GIVEN)).mean() for picture in pictures)
    assert near < middle < far
    np.testing.assert_array_equal(await drawn(inference, image=IMAGE, strength=1), await drawn(inference))


async def test_fewer_steps_are_made_and_told(inference: InferenceServiceAsyncStub) -> None:
    """Of 10 steps 40 % are made, progress counts those, and what is told first has the defaults but no bytes."""
    events = await generate(inference, GenerationSpec(prompt="x", steps=10, image=IMAGE, strength=0.4, previews=1))
    steps = [(event.progress.step, event.progress.steps) for event in events if event.HasField("progress")]
    assert steps[-1] == (4, 4)
    assert sum(bool(event.progress.preview) for event in events) == 1
    told = events[0].started.spec
    assert (told.steps, told.image.data, told.HasField("mask")) == (10, b"", False)
    events = await generate(inference, GenerationSpec(prompt="x", image=IMAGE, mask=MASK))
    assert events[0].started.spec.strength == 1
    events = await generate(inference, GenerationSpec(prompt="x", image=IMAGE))
    assert events[0].started.spec.strength == pytest.approx(0.6)
    events = await generate(inference, GenerationSpec(image=IMAGE))
    assert events[0].started.spec.strength == pytest.approx(0.3)
    assert events[0].started.spec.guidance == 1


@pytest.mark.parametrize("scheduler", [0, SCHEDULER_DPMPP_2M, SCHEDULER_LCM])
async def test_inpainting_keeps_what_is_not_masked(inference: InferenceServiceAsyncStub, scheduler: int) -> None:
    """The left half is the input's to the bit in a PNG, and nearly in a JPEG; the right half is not."""
    picture = await drawn(inference, image=IMAGE, mask=MASK, scheduler=scheduler)
    np.testing.assert_array_equal(picture[:, :128], np.asarray(GIVEN)[:, :128])
    assert np.abs(picture[:, 128:] - np.asarray(GIVEN)[:, 128:]).mean() > 10
    lossy = await drawn(inference, image=IMAGE, mask=MASK, format=IMAGE_FORMAT_JPEG)
    assert np.abs(lossy[:, :120] - np.asarray(GIVEN)[:, :120]).mean() < 4


async def test_variations_need_no_prompt(inference: InferenceServiceAsyncStub) -> None:
    """Three variations of a picture differ from it and from one another."""
    events = await generate(inference, GenerationSpec(image=IMAGE, images=3, seed=1))
    pictures = [levels(event.image.data) for event in events if event.HasField("image")] + [np.asarray(GIVEN)]
    assert len(pictures) == 4
    for one in range(4):
        for other in range(one):
            assert (pictures[one] != pictures[other]).any()


async def test_requests_with_and_without_images_share_calls(inference: InferenceServiceAsyncStub) -> None:
    """Drawn at the same time, each is the picture that it is alone."""
    asked: list[dict[str, Any]] = [{}, {"image": IMAGE, "strength": 0.5}, {"image": IMAGE, "mask": MASK}, {"guidance": 1}]
    alone = [await drawn(inference, **fields) for fields in asked]
    together = await asyncio.gather(*(drawn(inference, **fields) for fields in asked))
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one - other).max() <= 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": InputImage(data=b"x")}, "spec.image"),
        ({"image": InputImage(data=bomb())}, "spec.image"),
        ({"image": InputImage(data=IMAGE.data[:300])}, "spec.image"),
        ({"image": InputImage()}, "spec.image.source"),
        ({"image": InputImage(data=bytes(8 * 1024 * 1024 + 1))}, "spec.image.data"),
        ({"image": InputImage(key="../secrets")}, "spec.image.key"),
        ({"image": InputImage(key="inputs/nothing/image")}, "spec.image.key"),
        ({"image": IMAGE, "mask": InputImage(data=encoded(right_half(255, 256)))}, "spec.mask"),
        ({"image": IMAGE, "mask": InputImage(data=encoded(Image.new("L", (256, 256))))}, "spec.mask"),
        ({"image": IMAGE, "mask": MASK, "mask_kind": MASK_KIND_TRANSPARENT}, "spec.mask"),
        ({"image": IMAGE, "strength": 0.0}, "spec.strength"),
        ({"image": IMAGE, "strength": 1.5}, "spec.strength"),
        ({"image": IMAGE, "strength": float("nan")}, "spec.strength"),
        ({"mask": MASK}, "spec.mask"),
        ({"strength": 0.5}, "spec.strength"),
        ({"prompt": ""}, "spec.prompt"),
    ],
)
async def test_bad_input_is_refused(inference: InferenceServiceAsyncStub, fields: dict[str, Any], field: str) -> None:
    """Whatever is wrong with a picture, its field is named, and the next request works."""
    with pytest.raises(FieldInvalid) as caught:
        await drawn(inference, **fields)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert (await drawn(inference, image=IMAGE)).shape == (256, 256, 4)


def test_a_model_without_an_encoder_refuses(engine: OnnxEngine) -> None:
    """A model that cannot encode says so at once, and the list of models tells who can."""
    card = engine.card.model_copy(update={"pipeline": "StableDiffusionPipeline"})
    with pytest.raises(FieldInvalid, match="no encoder"):
        resolve(GenerationSpec(image=IMAGE), card)
    assert (card.takes_images, engine.card.takes_images) == (False, True)


async def test_pictures_in_the_store(inference: InferenceServiceAsyncStub, data: Path) -> None:
    """A picture and mask named by their keys are the same as when sent."""
    blobs = Blobs.open("", data)
    await blobs.put("inputs/a/image", IMAGE.data)
    await blobs.put("inputs/a/mask", MASK.data)
    stored = {"image": InputImage(key="inputs/a/image"), "mask": InputImage(key="inputs/a/mask")}
    sent = await drawn(inference, image=IMAGE, mask=MASK)
    np.testing.assert_array_equal(await drawn(inference, **stored), sent)
    listed = await calls.call(inference.ListModels, inference_pb2.ListModelsRequest())
    assert listed.models[0].takes_images


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_hanging_up(settings: InferenceSettings, models: Path, authority: Authority, moment: str) -> None:
    """Before the first step, between two and after the last, a request with a mask leaves all slots to the next."""
    write_tiny_model(models / "slow", work=20)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        stub = InferenceServiceStub(channel)
        spec = GenerationSpec(prompt="x", model="slow", steps=20, images=4, image=IMAGE, mask=MASK)
        async with aclosing(calls.stream(stub.Generate, GenerateRequest(spec=spec))) as events:
            async for event in events:
                if event.progress.step >= {"before": 0, "during": 1, "after": 20}[moment]:
                    break
        async with asyncio.timeout(10):
            assert (await drawn(stub, model="slow", steps=2, images=1, image=IMAGE)).shape == (256, 256, 4)


@pytest.mark.parametrize("pipeline", [SD, SDXL, SD3])
async def test_models_with_an_encoder(settings: InferenceSettings, models: Path, authority: Authority, pipeline: str) -> None:
    """Models of diffusers begin from a picture that their encoder reads, in another size than their own too."""
    write_pipeline(models / "other", pipeline)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        stub = InferenceServiceStub(channel)
        size = {"model": "other", "width": 192, "height": 96, "image": IMAGE}
        masked = await drawn(stub, **size, mask=MASK)
        fitted = np.asarray(ImageOps.fit(GIVEN, (192, 96), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(masked[:, :96], fitted[:, :96])
        near, far = [np.abs(await drawn(stub, **size, strength=each) - fitted).mean() for each in (0.1, 1)]
        assert near < far
