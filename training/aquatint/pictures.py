"""What the networks see of a picture: 32x32 views (as drawn, and a few slightly turned, shifted and scaled) of 256x256."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BASE_SIZE = 32
FULL_SIZE = 256
VIEWS = 6
TURN_DEGREES_MAX = 10.0
SHRINK_MIN = 0.86
SHIFT_PX_MAX = 10.0

Bytes = NDArray[np.uint8]


def premultiply(picture: Image.Image) -> Image.Image:
    """Return the picture in premultiplied alpha, in which resampling is right."""
    return picture.convert("RGBA").convert("RGBa")


def jittered_view(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Turn, shrink and shift a premultiplied picture a little about its centre."""
    angle = np.deg2rad(generator.uniform(-TURN_DEGREES_MAX, TURN_DEGREES_MAX))
    zoom = 1 / generator.uniform(SHRINK_MIN, 1.0)
    shift = generator.uniform(-SHIFT_PX_MAX, SHIFT_PX_MAX, size=2)
    centre = picture.width / 2
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    matrix = (
        cosine, -sine, centre - cosine * (centre + shift[0]) + sine * (centre + shift[1]),
        sine, cosine, centre - sine * (centre + shift[0]) - cosine * (centre + shift[1]),
    )  # fmt: skip
    size = picture.size
    return picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def shrink(picture: Image.Image, size: int) -> Bytes:
    """Average a premultiplied picture down and return straight RGBA bytes (size, size, 4)."""
    small = picture.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small.convert("RGBA"))


def base_views(picture: Image.Image, generator: np.random.Generator) -> Bytes:
    """Return (VIEWS, 32, 32, 4): the first view as drawn, the others jittered."""
    views = [picture] + [jittered_view(picture, generator) for _ in range(VIEWS - 1)]
    return np.stack([shrink(view, BASE_SIZE) for view in views])
