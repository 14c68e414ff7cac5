"""From a model's numbers to encoded pictures. Runs in the pool."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_WEBP,
    ImageFormat,
)
from mezzotint.inference.pictures.image_input import ImageInput

Floats = npt.NDArray[np.float32]
# The length of a preview's longer edge, in pixels.
PREVIEW_PIXELS = 64
LOSSY_QUALITY = 90
PILLOW_NAMES: dict[ImageFormat.ValueType, str] = {IMAGE_FORMAT_PNG: "PNG", IMAGE_FORMAT_JPEG: "JPEG", IMAGE_FORMAT_WEBP: "WEBP"}
EXTENSIONS: dict[ImageFormat.ValueType, str] = {IMAGE_FORMAT_PNG: "png", IMAGE_FORMAT_JPEG: "jpg", IMAGE_FORMAT_WEBP: "webp"}


def encode(pixels: Floats, image_format: ImageFormat.ValueType, *, opaque: bool, given: ImageInput | None = None) -> bytes:
    """Straight RGBA pixels (4, height, width) in [-1, 1] as an encoded picture; `opaque` and JPEG are drawn on white.

    What the mask of a `given` picture keeps comes from that one.
    """
    image = to_image(pixels, "RGBA")
    if given:
        image = given.kept_over(image)
    return written(image, image_format, opaque=opaque or image_format == IMAGE_FORMAT_JPEG)


def preview(sketch: Floats, *, opaque: bool) -> bytes:
    """A small PNG of a sketch (4, h, w): opacity times colour, and opacity, both in [-1, 1].

    Cheap on purpose: the decoder would cost about a step.
    """
    sketch = np.clip(sketch, -1.0, 1.0)
    alpha = (sketch[3:] + 1) / 2
    # Opacity times colour in [0, 1], from opacity times (2 colour - 1).
    premultiplied = np.concatenate([np.clip((sketch[:3] + alpha) / 2, 0, alpha), alpha])
    image = to_image(premultiplied * 2 - 1, "RGBa")
    # Enlarged before colour is divided by opacity, so that no invisible colour bleeds in at edges.
    longest = max(image.size)
    width, height = (max(1, round(side * PREVIEW_PIXELS / longest)) for side in image.size)
    enlarged = image.resize((width, height), Image.Resampling.BILINEAR).convert("RGBA")
    return written(enlarged, IMAGE_FORMAT_PNG, opaque=opaque)


def to_image(pixels: Floats, mode: str) -> Image.Image:
    """Values (4, height, width) in [-1, 1] as an image of a mode of four bytes: nearest, clipped."""
    _, height, width = pixels.shape
    scaled = np.rint(np.clip((pixels + 1) * 127.5, 0, 255)).astype(np.uint8)
    return Image.frombytes(mode, (width, height), scaled.transpose(1, 2, 0).tobytes())


def written(image: Image.Image, image_format: ImageFormat.ValueType, *, opaque: bool) -> bytes:
    """An RGBA image encoded, on white if `opaque`."""
    if opaque:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    out = io.BytesIO()
    image.save(out, PILLOW_NAMES[image_format], quality=LOSSY_QUALITY)
    return out.getvalue()
