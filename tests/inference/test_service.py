"""InferenceService over the wire, with a tiny model."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from mezzotint.api.inference.v1 import generation_pb2, inference_pb2
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest, GenerateResponse
from mezzotint.runtime import calls

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
