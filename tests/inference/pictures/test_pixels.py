"""Encoded pictures and previews."""

import io

import numpy as np
import pytest
from PIL import Image

from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_WEBP,
    ImageFormat,
)
from mezzotint.inference.pictures import pixels


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def flat(*values: float, size: int = 32) -> pixels.Floats:
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (4, size, size)).copy()


@pytest.mark.parametrize(
    ("image_format", "name", "mode"),
    [(IMAGE_FORMAT_PNG, "PNG", "RGBA"), (IMAGE_FORMAT_JPEG, "JPEG", "RGB"), (IMAGE_FORMAT_WEBP, "WEBP", "RGBA")],
)
def test_formats(image_format: ImageFormat.ValueType, name: str, mode: str) -> None:
    """Each format is what it says, and only JPEG drops transparency, onto white."""
    image = opened(pixels.encode(flat(1, -1, -1, -1), image_format, opaque=False))
    assert (image.format, image.mode, image.size) == (name, mode, (32, 32))
    if mode == "RGB":
        assert min(image.convert("L").tobytes()) > 250


def test_opaque_is_drawn_on_white() -> None:
    """Half-transparent red on white is pink, with no transparency left."""
    image = opened(pixels.encode(flat(1, -1, -1, 0), IMAGE_FORMAT_PNG, opaque=True))
    assert image.mode == "RGB"
    assert image.getpixel((5, 5)) == pytest.approx((255, 127, 127), abs=1)


def test_values_out_of_range_are_clipped() -> None:
    """A decoder that overshoots gives full and no colour, never a wrap-around."""
    image = opened(pixels.encode(flat(1.7, -1.7, 0, 9), IMAGE_FORMAT_PNG, opaque=False))
    assert image.getpixel((0, 0)) == (255, 0, 128, 255)


def test_preview_undoes_the_latents_encoding() -> None:
    """Latents of half-transparent red, opacity times (2 colour - 1), come out as half-transparent red in a small PNG."""
    data = pixels.preview(flat(0.5, -0.5, -0.5, 0.0), opaque=False)
    image = opened(data)
    assert (image.format, image.size, image.mode) == ("PNG", (64, 64), "RGBA")
    assert image.getpixel((30, 30)) == pytest.approx((255, 0, 0, 128), abs=2)
    assert len(data) < 16 * 1024


def test_preview_of_wild_latents() -> None:
    """The first estimates are far out of range; they make a picture all the same."""
    wild = np.random.default_rng(0).standard_normal((4, 32, 32)).astype(np.float32) * 50
    assert opened(pixels.preview(wild, opaque=True)).mode == "RGB"
