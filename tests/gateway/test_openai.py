"""The official OpenAI SDK against the HTTP door: what it sends is understood, and it understands what comes back."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.gateway.suite import Suite
from tests.support.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
ASKED: dict[str, Any] = {"model": "tiny", "prompt": "a red heart"}
# What is wrong, and the parameter to be named.
BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": "x" * 100_000}, "prompt"),
    ({"prompt": "a\x00b"}, "prompt"),
    ({"prompt": 3}, "prompt"),
    ({"n": 0}, "n"),
    ({"n": 11}, "n"),
    ({"n": "2"}, "n"),
    ({"size": "257x256"}, "size"),
    ({"size": "huge"}, "size"),
    ({"size": "0x256"}, "size"),
    ({"size": "99999x1"}, "size"),
    ({"size": "9999x9999"}, "size"),
    ({"model": "dall-e-3"}, "model"),
    ({"output_format": "tiff"}, "output_format"),
    ({"background": "transparent", "output_format": "jpeg"}, "background"),
    ({"partial_images": 4}, "partial_images"),
    ({"extra_body": {"steps": 0}}, "steps"),
    ({"extra_body": {"guidance": 0.5}}, "guidance"),
    ({"extra_body": {"seed": -1}}, "seed"),
    ({"extra_body": {"scheduler": "heun"}}, "scheduler"),
    ({"extra_body": {"stepz": 4}}, "stepz"),
    ({"extra_headers": {"Idempotency-Key": "k" * 65}}, "Idempotency-Key"),
]


def picture(b64_json: str | None) -> Image.Image:
    """The picture in an answer."""
    assert b64_json is not None
    return Image.open(io.BytesIO(base64.b64decode(b64_json)))


async def test_it_generates(sdk: openai.AsyncOpenAI) -> None:
    """Ensures pictures in the SDK's own classes, with true numbers beside them."""
    response = await sdk.images.generate(**ASKED, n=2, size="256x256", output_format="webp", extra_body={"steps": 3, "seed": 5})
    assert response.data is not None
    assert [picture(image.b64_json).format for image in response.data] == ["WEBP", "WEBP"]
    assert (response.size, response.output_format, response.background) == ("256x256", "webp", "transparent")
    assert response.usage is not None
    extra = response.usage.model_extra or {}
    assert (response.usage.total_tokens, extra["images"], extra["steps"]) == (0, 2, 6)


async def test_it_streams_with_partial_images(sdk: openai.AsyncOpenAI) -> None:
    """Ensures the documented events in their order, the previews counted from 0."""
    stream = await sdk.images.generate(**ASKED, stream=True, partial_images=2, size="256x256")
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    partial = [event for event in events if event.type == "image_generation.partial_image"]
    assert [event.partial_image_index for event in partial] == [0, 1]
    for event in partial:
        width, height = picture(event.b64_json).size
        assert event.size == f"{width}x{height}"
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert (picture(last.b64_json).size, last.size, last.background) == ((256, 256), "256x256", "transparent")


async def test_it_fetches_by_url(suite: Suite, sdk: openai.AsyncOpenAI, person: Person) -> None:
    """Ensures that a link leads to the picture for its owner and to nothing for anybody else."""
    response = await sdk.images.generate(**ASKED, response_format="url", output_format="jpeg", background="opaque")
    assert response.data is not None
    url = response.data[0].url
    assert url is not None
    assert url.startswith(suite.url)
    async with httpx.AsyncClient() as http:
        found = await http.get(url, headers={"authorization": f"Bearer {person.secret}"})
        assert (found.status_code, found.headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(found.content)).format == "JPEG"
        assert (await http.get(url)).status_code == 401
        missing = await http.get(url[:-1] + "7", headers={"authorization": f"Bearer {person.secret}"})
        assert (missing.status_code, missing.json()["error"]["reason"]) == (404, "IMAGE_NOT_FOUND")


async def test_it_lists_models(sdk: openai.AsyncOpenAI) -> None:
    """Ensures that the SDK's list of models is inference's."""
    assert [model.id async for model in sdk.models.list()] == ["tiny"]
    assert (await sdk.models.retrieve("tiny")).owned_by == "mezzotint"
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("no-such-model")


async def test_bad_input_names_its_parameter(sdk: openai.AsyncOpenAI) -> None:
    """Ensures that whatever is wrong with a request, the SDK raises BadRequestError and says which parameter it is."""
    generate: Any = sdk.images.generate
    for changes, param in BAD:
        with pytest.raises(openai.BadRequestError) as caught:
            await generate(**ASKED | changes)
        assert caught.value.param == param, changes
        assert caught.value.request_id


async def test_a_wrong_key(suite: Suite) -> None:
    """Ensures the SDK's own class for a key that is unknown, malformed or missing."""
    for key in ("mzt_nonsense", "sk-abc", "x" * 5000):
        async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=key, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                await client.images.generate(**ASKED)
            assert caught.value.code == "invalid_api_key"
