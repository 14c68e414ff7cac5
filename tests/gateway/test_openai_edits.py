"""The official OpenAI SDK sends pictures: edits with and without a mask, and variations."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from tests.gateway.suite import Suite, public, running
from tests.gateway.test_openai import picture
from tests.inference.given_pictures import bomb, encoded, gradient, right_half
from tests.support.people import Person, sign_up

pytestmark = pytest.mark.asyncio(loop_scope="module")
ASKED: dict[str, Any] = {"model": "tiny", "prompt": "a red heart"}
GIVEN = gradient()
IMAGE = encoded(GIVEN)


def openai_mask() -> bytes:
    """Transparent where the picture is to be drawn anew: the right half."""
    mask = Image.new("RGBA", (256, 256), "black")
    mask.putalpha(right_half().point(lambda level: 255 - level))
    return encoded(mask)


def uploads(suite: Suite) -> list[str]:
    """The pictures that came with requests and are in the store."""
    return [str(path) for path in (suite.data / "images" / "inputs").glob("*/*") if path.is_file()]


def levels(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGBA")).astype(int)


async def test_it_edits_with_a_mask(suite: Suite, sdk: openai.AsyncOpenAI) -> None:
    """Ensures that what the mask leaves opaque is the input's to the bit, and that nothing stays in the store."""
    response = await sdk.images.edit(
        **ASKED, image=("a.png", IMAGE), mask=("m.png", openai_mask()), n=2, size="256x256", extra_body={"seed": 4, "steps": 5}
    )
    assert response.data is not None
    pictures = [levels(picture(image.b64_json)) for image in response.data]
    assert len(pictures) == 2
    for each in pictures:
        np.testing.assert_array_equal(each[:, :128], levels(GIVEN)[:, :128])
        assert (each[:, 128:] != levels(GIVEN)[:, 128:]).any()
    assert (pictures[0] != pictures[1]).any()
    assert (response.size, response.output_format) == ("256x256", "png")
    assert uploads(suite) == []


async def test_strength_decides_how_far_it_goes(sdk: openai.AsyncOpenAI) -> None:
    """Ensures that little strength stays closer, and that files may come as a list, in other formats and other sizes."""
    far = []
    for strength in (0.1, 0.9):
        body = {"strength": strength, "seed": 4, "steps": 20}
        response = await sdk.images.edit(**ASKED, image=[encoded(GIVEN.convert("RGB"), "WEBP", lossless=True)], extra_body=body)
        assert response.data is not None
        far.append(np.abs(levels(picture(response.data[0].b64_json)) - levels(GIVEN)).mean())
        assert response.usage is not None
        assert (response.usage.model_extra or {})["steps"] == round(20 * strength)
    assert far[0] < far[1]
    response = await sdk.images.edit(**ASKED, image=encoded(gradient(900, 500).convert("RGB"), "JPEG"), response_format="url")
    assert response.data is not None
    assert response.data[0].url


async def test_it_streams_edits(sdk: openai.AsyncOpenAI) -> None:
    """Ensures the events that the SDK knows of an edit, in their order."""
    stream = await sdk.images.edit(**ASKED, image=IMAGE, mask=openai_mask(), stream=True, partial_images=2)
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    assert picture(events[-1].b64_json).size == (256, 256)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_it_makes_variations(suite: Suite, sdk: openai.AsyncOpenAI) -> None:
    """Ensures several different pictures from a picture without a prompt."""
    response = await sdk.images.create_variation(model="tiny", image=IMAGE, n=2, size="256x256", response_format="b64_json")
    assert response.data is not None
    one, other = (levels(picture(image.b64_json)) for image in response.data)
    assert (one != other).any()
    assert (one != levels(GIVEN)).any()
    assert uploads(suite) == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"image": b"no picture"}, "image"),
        ({"image": bomb()}, "image"),
        ({"image": IMAGE[:200]}, "image"),
        ({"image": b""}, "image"),
        ({"image": bytes(8 * 1024 * 1024 + 1)}, "image"),
        ({"image": [IMAGE, IMAGE]}, "image"),
        ({"mask": encoded(Image.new("RGBA", (256, 128)))}, "mask"),
        ({"mask": encoded(Image.new("RGBA", (256, 256), "white"))}, "mask"),
        ({"mask": b"x"}, "mask"),
        ({"prompt": ""}, None),
        ({"prompt": "a\x07b"}, "prompt"),
        ({"n": 11}, "n"),
        ({"size": "257x256"}, "size"),
        ({"extra_body": {"strength": 0}}, "strength"),
        ({"extra_body": {"strength": 1.5}}, "strength"),
        ({"extra_body": {"strenght": 0.5}}, "strenght"),
        ({"extra_body": {"steps": "many"}}, "steps"),
    ],
)
async def test_bad_input_names_its_parameter(
    suite: Suite, sdk: openai.AsyncOpenAI, changes: dict[str, Any], param: str | None
) -> None:
    """Ensures that whatever is wrong with an edit, the SDK says which parameter it is, and no picture stays in the store."""
    edit: Any = sdk.images.edit
    if param is None:
        assert (await edit(**{**ASKED, "image": IMAGE, **changes})).data
        return
    with pytest.raises(openai.BadRequestError) as caught:
        await edit(**{**ASKED, "image": IMAGE, **changes})
    assert caught.value.param == param
    assert uploads(suite) == []


@pytest.mark.parametrize("path", ["edits", "variations"])
async def test_forms_that_are_none(suite: Suite, person: Person, path: str) -> None:
    """Ensures a clear refusal of JSON, of broken forms, of ones without a picture, too large or with a file out of place."""
    headers = {"authorization": f"Bearer {person.secret}"}
    form = {"content-type": "multipart/form-data; boundary=x"}
    url = f"{suite.url}/v1/images/{path}"
    async with httpx.AsyncClient(headers=headers) as http:
        assert (await http.post(url, json={"prompt": "x"})).status_code == 400
        assert (await http.post(url, content=b"nonsense", headers=form)).status_code == 400
        assert (await http.post(url, content=b"x", headers={"content-type": "multipart/form-data"})).status_code == 400
        missing = await http.post(url, data={"prompt": "x"}, files={"mask": IMAGE})
        assert (missing.status_code, missing.json()["error"]["param"]) == (400, "image")
        out_of_place = await http.post(url, data={"image": "x"}, files={"prompt": IMAGE})
        assert out_of_place.status_code == 400
        large = await http.post(url, files={"image": bytes(18 * 1024 * 1024)})
        assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
        assert (await http.post(url, files={"image": IMAGE}, headers={"authorization": ""})).status_code == 401


async def test_a_retry_joins_the_first_call(suite: Suite, person: Person) -> None:
    """Ensures that the same key and picture give the same generation, and another picture under the key is refused."""
    headers = {"authorization": f"Bearer {person.secret}", "idempotency-key": "edit-1"}
    async with httpx.AsyncClient(headers=headers, base_url=f"{suite.url}/v1/images", timeout=30) as http:
        first, second = [
            (await http.post("/edits", data={"prompt": "x", "model": "tiny"}, files={"image": IMAGE})).json() for _ in range(2)
        ]
        assert first["data"] == second["data"]
        other = await http.post("/edits", data={"prompt": "x", "model": "tiny"}, files={"image": encoded(gradient(64, 64))})
        assert (other.status_code, other.json()["error"]["reason"]) == (409, "REQUEST_ID_REUSED")


async def test_hanging_up_deletes_what_was_sent(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ensures that an edit whose caller hangs up while it is drawn is cancelled, and that its pictures leave the store."""
    async with running(tmp_path_factory.mktemp("edits") / "data", work=200) as suite, public(suite) as channel:
        person = await sign_up(channel)
        async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=person.secret, max_retries=0) as sdk:
            body = {"steps": 100, "strength": 1}
            stream = await sdk.images.edit(
                **ASKED, image=IMAGE, mask=openai_mask(), stream=True, partial_images=3, extra_body=body
            )
            async for _ in stream:
                assert len(uploads(suite)) == 2
                break
            await stream.close()
        # It ends when it has followed its generations to their ends.
        await suite.stop("gateway")
        assert uploads(suite) == []
