"""InferenceService over the wire, with a tiny model."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from mezzotint.api.inference.v1 import generation_pb2, inference_pb2
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest, GenerateResponse
from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.errors import (
    DeadlineExceeded,
    FieldInvalid,
    MezzotintError,
    ModelInvalid,
    ModelNotFound,
    ServerOverloaded,
    SizeUnsupported,
)
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import write_tiny_model
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceAsyncStub


async def generate(stub: InferenceServiceAsyncStub, spec: GenerationSpec) -> list[GenerateResponse]:
    return [response async for response in calls.stream(stub.Generate, GenerateRequest(spec=spec), timeout=20)]


async def test_generate_fills_in_defaults(inference: InferenceServiceAsyncStub) -> None:
    """A request with only a prompt gets one picture, told first with every default, then step by step."""
    events = await generate(inference, GenerationSpec(prompt="red heart"))
    started = events[0].started.spec
    assert (started.model, started.width, started.height, started.images) == ("tiny", 256, 256, 1)
    assert (started.steps, started.guidance, started.format) == (8, 3.0, generation_pb2.IMAGE_FORMAT_PNG)
    assert started.HasField("seed")
    steps = [event.progress.step for event in events if event.WhichOneof("event") == "progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 8
    image = events[-1].image
    assert (image.ref.seed, image.ref.width, image.ref.size_bytes) == (started.seed, 256, len(image.data))
    with Image.open(io.BytesIO(image.data)) as opened:
        assert (opened.format, opened.size, opened.mode) == ("PNG", (256, 256), "RGBA")


async def test_models_are_listed(inference: InferenceServiceAsyncStub) -> None:
    """The list says what a model draws and that it is loaded."""
    response = await calls.call(inference.ListModels, inference_pb2.ListModelsRequest())
    (model,) = response.models
    assert (model.name, model.version, model.loaded, list(model.sizes)) == ("tiny", "1", True, ["256x256"])
    names = ["SCHEDULER_FLOW_MATCH_EULER", "SCHEDULER_DPMPP_2M", "SCHEDULER_LCM"]
    assert [generation_pb2.Scheduler.Name(scheduler) for scheduler in model.schedulers] == names


async def test_pictures_of_a_request_differ_by_seed(inference: InferenceServiceAsyncStub) -> None:
    """The i-th picture is drawn with seed + i and is the one that a request with that seed gets alone."""
    events = await generate(inference, GenerationSpec(prompt="x", seed=5, images=3, steps=4))
    images = {event.image.image_index: event.image for event in events if event.HasField("image")}
    assert [images[index].ref.seed for index in range(3)] == [5, 6, 7]
    alone = await generate(inference, GenerationSpec(prompt="x", seed=7, steps=4))
    assert levels(alone[-1].image.data) == pytest.approx(levels(images[2].data), abs=2)
    assert levels(images[0].data) != pytest.approx(levels(images[2].data), abs=2)


async def test_requests_of_different_schedulers_are_drawn_together(inference: InferenceServiceAsyncStub) -> None:
    """Each of them gets the picture that it gets alone; the schedulers give different pictures."""
    schedulers = (
        generation_pb2.SCHEDULER_FLOW_MATCH_EULER,
        generation_pb2.SCHEDULER_DPMPP_2M,
        generation_pb2.SCHEDULER_LCM,
    )
    specs = [GenerationSpec(prompt="x", seed=7, steps=4 + 2 * scheduler, scheduler=scheduler) for scheduler in schedulers]
    alone = [levels((await generate(inference, spec))[-1].image.data) for spec in specs]
    together = await asyncio.gather(*(generate(inference, spec) for spec in specs))
    for events, expected in zip(together, alone, strict=True):
        assert levels(events[-1].image.data) == pytest.approx(expected, abs=2)
    assert len({tuple(each) for each in alone}) == len(alone)


def levels(data: bytes) -> list[int]:
    """Some of a picture's bytes, decoded."""
    with Image.open(io.BytesIO(data)) as image:
        return list(image.tobytes()[::97])


async def test_previews_are_small_pngs(inference: InferenceServiceAsyncStub) -> None:
    """As many previews as asked come before the picture."""
    events = await generate(inference, GenerationSpec(prompt="x", steps=20, previews=3))
    previews = [event.progress.preview for event in events if event.progress.preview]
    assert 1 <= len(previews) <= 3
    for preview in previews:
        with Image.open(io.BytesIO(preview)) as image:
            assert image.size == (64, 64)


@pytest.mark.parametrize(
    ("spec", "error", "metadata"),
    [
        (GenerationSpec(prompt="x", width=512), SizeUnsupported, {"sizes": "256x256"}),
        (GenerationSpec(prompt="x", model="nobody"), ModelNotFound, {"models": "tiny"}),
        (GenerationSpec(prompt="x", model="../tiny"), ModelNotFound, {"models": "tiny"}),
        (GenerationSpec(), FieldInvalid, {}),
        (GenerationSpec(prompt="bell \x07"), FieldInvalid, {}),
        (GenerationSpec(prompt="x" * 4001), FieldInvalid, {}),
        (GenerationSpec(prompt="x", steps=101), FieldInvalid, {}),
        (GenerationSpec(prompt="x", images=11), FieldInvalid, {}),
        (GenerationSpec(prompt="x", guidance=float("nan")), FieldInvalid, {}),
    ],
)
async def test_request_that_cannot_work(
    inference: InferenceServiceAsyncStub, spec: GenerationSpec, error: type[MezzotintError], metadata: dict[str, str]
) -> None:
    """What the contract or the model does not admit is refused with its reason, and the next request works."""
    with pytest.raises(error) as refused:
        await generate(inference, spec)
    assert refused.value.metadata == metadata
    assert (await generate(inference, GenerationSpec(prompt="x")))[-1].HasField("image")


async def test_hanging_up_frees_the_slots(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """A client that hangs up in the middle of pictures that fill all slots makes room for the next at once."""
    write_tiny_model(models / "slow", work=40)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        stub = InferenceServiceStub(channel)
        spec = GenerationSpec(prompt="x", model="slow", steps=100, images=10)
        async with aclosing(calls.stream(stub.Generate, GenerateRequest(spec=spec))) as events:
            async for event in events:
                if event.HasField("progress"):
                    break
        async with asyncio.timeout(3):
            assert (await generate(stub, GenerationSpec(prompt="x", model="slow", steps=2)))[-1].HasField("image")
        with pytest.raises(DeadlineExceeded):
            [event async for event in calls.stream(stub.Generate, GenerateRequest(spec=spec), timeout=0.3)]
        async with asyncio.timeout(3):
            assert (await generate(stub, GenerationSpec(prompt="x", model="slow", steps=2)))[-1].HasField("image")


async def test_waiting_list_is_bounded(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """Of 33 requests for 8 pictures, with 4 slots and 256 places, one is refused at once with a time to come back.

    256 pictures always fit, and 264 never do, however many have their slots when the last request comes.
    """
    write_tiny_model(models / "slow", work=20)
    settings = settings.model_copy(update={"aside_max": 0})
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        stub = InferenceServiceStub(channel)
        spec = GenerationSpec(prompt="x", model="slow", steps=100, images=8)
        asking = [asyncio.create_task(generate(stub, spec)) for _ in range(33)]
        done, waiting = await asyncio.wait(asking, timeout=10, return_when=asyncio.FIRST_EXCEPTION)
        (refused,) = done
        error = refused.exception()
        assert isinstance(error, ServerOverloaded)
        assert error.retry_after == 5
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert (await generate(stub, GenerationSpec(prompt="x")))[-1].HasField("image")


async def test_models_are_loaded_and_unloaded(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """A folder that is added later can be loaded, lists in pages, serves, and is unloaded again; repeating changes nothing."""
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="operator") as channel:
        stub = InferenceServiceStub(channel)
        write_tiny_model(models / "later", version="2")
        write_tiny_model(models / "zebra")
        for _ in range(2):
            loaded = await calls.call(stub.LoadModel, inference_pb2.LoadModelRequest(name="later"))
            assert (loaded.model.version, loaded.model.loaded) == ("2", True)
        first = await calls.call(stub.ListModels, inference_pb2.ListModelsRequest(page_size=2))
        assert [(model.name, model.loaded) for model in first.models] == [("later", True), ("tiny", True)]
        rest = await calls.call(stub.ListModels, inference_pb2.ListModelsRequest(page_token=first.next_page_token))
        assert [(model.name, model.loaded) for model in rest.models] == [("zebra", False)]
        assert (await generate(stub, GenerationSpec(prompt="x", model="later")))[0].started.spec.model == "later"
        for _ in range(2):
            await calls.call(stub.UnloadModel, inference_pb2.UnloadModelRequest(name="later"))
        with pytest.raises(ModelNotFound):
            await generate(stub, GenerationSpec(prompt="x", model="later"))
        with pytest.raises(ModelNotFound):
            await calls.call(stub.LoadModel, inference_pb2.LoadModelRequest(name="nobody"))


async def test_not_ready_without_the_default_model(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """With a corrupt default model the service is NOT_SERVING, serves the others, and is ready once the model is mended."""
    write_tiny_model(models / "other")
    graph = models / "tiny/unet/model.onnx"
    good = graph.read_bytes()
    graph.write_bytes(good[:100])
    fixed = settings.model_copy(update={"port": free_port()})
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run(fixed, stop, started.set_result))
    async with connect(authority, fixed.port, "inference", identity="operator") as channel:
        stub, health = InferenceServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        async with asyncio.timeout(10):
            while not any(each.loaded for each in (await listed(stub)).models):
                pass
        answer = await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await generate(stub, GenerationSpec(prompt="x", model="other")))[-1].HasField("image")
        with pytest.raises(ModelInvalid) as refused:
            await calls.call(stub.LoadModel, inference_pb2.LoadModelRequest(name="tiny"))
        assert refused.value.metadata == {"file": "unet/model.onnx"}
        assert not started.done()
        graph.write_bytes(good)
        await calls.call(stub.LoadModel, inference_pb2.LoadModelRequest(name="tiny"))
        assert await asyncio.wait_for(started, 10) == fixed.port
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        await calls.call(stub.UnloadModel, inference_pb2.UnloadModelRequest(name="tiny"))
        async with asyncio.timeout(10):
            async for change in health.Watch(health_pb2.HealthCheckRequest()):
                if change.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    break
    stop.set()
    await running


async def listed(stub: InferenceServiceAsyncStub) -> inference_pb2.ListModelsResponse:
    """The models, as soon as the service answers."""
    return await stub.ListModels(inference_pb2.ListModelsRequest(), wait_for_ready=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_call_under_way_ends_before_the_service(settings: InferenceSettings, models: Path, authority: Authority) -> None:
    """A picture that is being drawn when the service is stopped is finished within the time for draining."""
    write_tiny_model(models / "slow", work=10)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(run, settings))
        async with connect(authority, port, "inference", identity="gateway") as channel:
            spec = GenerationSpec(prompt="x", model="slow", steps=20)
            call = InferenceServiceStub(channel).Generate(GenerateRequest(spec=spec))
            first = await call.read()
            assert isinstance(first, GenerateResponse)
            stopping = asyncio.create_task(stack.pop_all().aclose())
            events = [event async for event in until_end(call)]
            assert events[-1].HasField("image")
            await stopping


async def until_end(call: grpc.aio.UnaryStreamCall[GenerateRequest, GenerateResponse]) -> AsyncIterator[GenerateResponse]:
    """The rest of a call's responses."""
    while isinstance(response := await call.read(), GenerateResponse):
        yield response
