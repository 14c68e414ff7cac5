"""Options of a drawing become the contract's message."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.runtime.errors import FieldInvalid
from mezzotint_client.options import SCHEDULERS, parse_size, spec


def test_what_is_left_out_is_left_to_the_server() -> None:
    """Only the prompt and the encoding are set when nothing else is said; zero is the server's choice."""
    assert spec("a red heart") == generation_pb2.GenerationSpec(prompt="a red heart", format=generation_pb2.IMAGE_FORMAT_PNG)


def test_every_option_reaches_its_field(tmp_path: Path) -> None:
    """Each keyword sets the field that it is named after."""
    file = tmp_path / "mask.png"
    file.write_bytes(b"mask")
    message = spec(
        "a red heart",
        negative_prompt="blue",
        model="aquatint",
        size="64x32",
        images=3,
        steps=12,
        guidance=4.5,
        seed=0,
        format="webp",
        previews=2,
        opaque=True,
        image=b"picture",
        mask=file,
        strength=0.5,
        scheduler="dpmpp_2m",
    )
    assert (message.image.data, message.mask.data, message.strength) == (b"picture", b"mask", 0.5)
    assert (message.negative_prompt, message.model, message.width, message.height) == ("blue", "aquatint", 64, 32)
    assert (message.images, message.steps, message.guidance, message.previews) == (3, 12, 4.5, 2)
    assert message.HasField("seed")
    assert message.opaque
    assert message.scheduler == generation_pb2.SCHEDULER_DPMPP_2M
    assert message.format == generation_pb2.IMAGE_FORMAT_WEBP


def test_every_scheduler_of_the_contract_has_a_name() -> None:
    """The client can ask for each of them."""
    assert sorted(SCHEDULERS.values()) == sorted(
        set(generation_pb2.Scheduler.values()) - {generation_pb2.SCHEDULER_UNSPECIFIED}
    )


@given(st.integers(1, 9999), st.integers(1, 9999), st.sampled_from("xX×"))
def test_a_size_is_read_as_it_is_written(width: int, height: int, between: str) -> None:
    """Any size reads back, whichever sign of multiplication stands in it."""
    assert parse_size(f" {width}{between}{height}\n") == (width, height)


@pytest.mark.parametrize("size", ["", "64", "64x", "x64", "64x64x64", "-1x64", "64 x 64", "99999x1", "big"])
def test_what_is_no_size_is_refused_with_an_example(size: str) -> None:
    """The error names the field and shows how a size is written."""
    with pytest.raises(FieldInvalid, match="256x256"):
        spec("a red heart", size=size)


@pytest.mark.parametrize(
    "options",
    [
        {"image": bytes(8 * 1024 * 1024 + 1)},
        {"seed": -1},
        {"images": 2**40},
        {"format": "gif"},
        {"scheduler": "heun"},
        {"steps": -5},
    ],
)
def test_what_the_message_cannot_hold_is_refused(options: dict[str, object]) -> None:
    """Numbers out of the message's range and unknown encodings are the caller's error, not a defect."""
    with pytest.raises(FieldInvalid):
        spec("a red heart", **options)  # type: ignore[arg-type]  # wrong on purpose


def test_a_prompt_that_is_no_text_is_refused() -> None:
    """Half a surrogate pair, as a terminal with broken input gives it, cannot be sent."""
    with pytest.raises(FieldInvalid):
        spec("a red \udc80 heart")
