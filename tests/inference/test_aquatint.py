"""The bundled model, as it is shipped."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest
from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.tls import Authority
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceAsyncStub

# A picture alone and in a batch may differ by this many of 255 levels.
LEVELS_TOLERANCE = 2


async def pictures(
    stub: "InferenceServiceAsyncStub", spec: GenerationSpec
) -> list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    """The pictures of a request, as arrays of RGBA."""
    found = {}
    async for response in calls.stream(stub.Generate, GenerateRequest(spec=spec), timeout=60):
        if response.HasField("image"):
            with Image.open(io.BytesIO(response.image.data)) as image:
                found[response.image.image_index] = np.asarray(image.convert("RGBA"))
    return [found[index] for index in sorted(found)]


async def test_red_heart_is_red_and_the_same_in_a_batch(data: Path, authority: Authority) -> None:
    """A red heart is red where it is opaque, and the same picture whether it is drawn alone or with two others."""
    settings = InferenceSettings(data=data, port=0, metrics_port=0, queue_address="", pool_threads=1)
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        stub = InferenceServiceStub(channel)
        together = await pictures(stub, GenerationSpec(prompt="red heart", seed=1, images=3, steps=12))
        (alone,) = await pictures(stub, GenerationSpec(prompt="red heart", seed=1, steps=12))
    assert alone.shape == (256, 256, 4)
    difference = np.abs(alone.astype(int) - together[0])[alone[..., 3] > 8]
    assert difference.max() <= LEVELS_TOLERANCE
    opaque = alone[alone[..., 3] > 200].astype(int)
    assert len(opaque) > 256 * 256 * 0.05
    red = (opaque[:, 0] > opaque[:, 1] + 40) & (opaque[:, 0] > opaque[:, 2] + 40)
    assert red.mean() > 0.6
