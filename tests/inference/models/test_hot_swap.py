"""Models that come, go and change while requests run, over the wire."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mezzotint.api.inference.v1 import inference_pb2
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest, GenerateResponse
from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.errors import LimitReached, SizeUnsupported
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import write_tiny_model
from tests.inference.tiny_pipelines import SD, SD3, SDXL, write_pipeline
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceAsyncStub

# Pictures of the two versions: black or white whatever their latents are.
DARK, LIGHT = -1e6, 1e6


async def generate(stub: InferenceServiceAsyncStub, spec: GenerationSpec) -> list[GenerateResponse]:
    return [response async for response in calls.stream(stub.Generate, GenerateRequest(spec=spec), timeout=30)]


async def load(stub: InferenceServiceAsyncStub, name: str) -> inference_pb2.Model:
    return (await calls.call(stub.LoadModel, inference_pb2.LoadModelRequest(name=name))).model


def picture(events: list[GenerateResponse]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The last picture of a call as an array."""
    with Image.open(io.BytesIO(events[-1].image.data)) as image:
        return np.asarray(image.convert("RGBA"))


async def test_version_is_replaced_without_a_failed_request(
    settings: InferenceSettings, models: Path, authority: Authority
) -> None:
    """While callers ask without a pause, version after version takes over: no call fails, each picture is of one version."""
    write_pipeline(models / "many" / "1", bias=DARK)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="operator") as channel:
        stub, drawn = InferenceServiceStub(channel), asyncio.Queue[set[int]]()

        async def ask(caller: int) -> None:
            while True:
                events = await generate(stub, GenerationSpec(prompt="x", model="many", steps=3 + caller, seed=caller))
                drawn.put_nowait(set(picture(events)[..., 0].ravel().tolist()))

        seen: list[set[int]] = []
        callers = [asyncio.create_task(ask(caller)) for caller in range(4)]
        async with asyncio.timeout(60):
            for number in range(2, 6):
                write_pipeline(models / "many" / str(number), bias=LIGHT if number % 2 else DARK)
                assert (await load(stub, "many")).version == str(number)
                # Some of these were begun before, with the version before.
                seen += [await drawn.get() for _ in range(12)]
        assert not [caller for caller in callers if caller.done()]
        for caller in callers:
            caller.cancel()
        assert all(levels in ({0}, {255}) for levels in seen)
        assert {0} in seen
        assert {255} in seen[-4:]
        assert set(picture(await generate(stub, GenerationSpec(prompt="x", model="many", steps=2)))[..., 0].ravel()) == {255}
        listed = await calls.call(stub.ListModels, inference_pb2.ListModelsRequest())
        assert [(model.name, model.version) for model in listed.models] == [("many", "5"), ("tiny", "1")]


@pytest.mark.parametrize("pipeline", [SD, SDXL, SD3])
async def test_pipelines_draw_in_many_sizes(
    pipeline: str, settings: InferenceSettings, models: Path, authority: Authority
) -> None:
    """A pipeline of another family draws any size of its range, several at once, opaque, and the same alone as in company."""
    write_pipeline(models / "other", pipeline)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="operator") as channel:
        stub = InferenceServiceStub(channel)
        sizes = [(128, 128), (208, 96), (96, 208), (0, 0)]
        specs = [GenerationSpec(width=width, height=height) for width, height in sizes]
        for spec in specs:
            spec.MergeFrom(GenerationSpec(prompt="heart", model="other", steps=6, seed=3, previews=2))
        together = await asyncio.gather(*(generate(stub, spec) for spec in specs))
        for (width, height), events in zip(sizes, together, strict=True):
            found = picture(events)
            assert found.shape == (height or 128, width or 128, 4)
            assert (found[..., 3] == 255).all()
            previews = [event.progress.preview for event in events if event.progress.preview]
            with Image.open(io.BytesIO(previews[0])) as preview:
                assert max(preview.size) == 64
        alone = picture(await generate(stub, specs[1]))
        assert np.abs(alone.astype(int) - picture(together[1])).max() <= 1
        beyond = r"any with sides from 64 to 256 that are multiples of (8|16) and no more than 24576"
        with pytest.raises(SizeUnsupported, match=beyond):
            await generate(stub, GenerationSpec(prompt="x", model="other", width=100))
        (model, _) = (await calls.call(stub.ListModels, inference_pb2.ListModelsRequest())).models
        assert (model.sizes[0], model.size_range.side_max, model.size_range.area_max) == ("128x128", 256, 24576)


async def test_load_that_does_not_fit(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """A load over the bound for one model is refused with the figures, and those that are loaded go on."""
    graphs = sum(path.stat().st_size for path in (models / "tiny").glob("*/*.onnx"))
    write_tiny_model(models / "large")
    with (models / "large/unet/model.onnx_data").open("wb") as weights:
        weights.truncate(1024**3)
    bounded = settings.model_copy(update={"model_memory_mib": 1024})
    async with serving(run, bounded) as port, connect(authority, port, "inference", identity="operator") as channel:
        stub = InferenceServiceStub(channel)
        with pytest.raises(LimitReached, match=r"large takes about 307\d\.\d MiB of memory; 1024\.0 MiB is the most") as full:
            await load(stub, "large")
        assert full.value.metadata == {"limit": str(1024**3)}
        assert graphs < 1024**2
        assert (await generate(stub, GenerationSpec(prompt="x", steps=2)))[-1].HasField("image")
