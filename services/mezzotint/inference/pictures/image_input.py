"""Pictures that come with a request: read with care, since anybody may have made them. All of it blocks."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mezzotint.api.inference.v1.generation_pb2 import MASK_KIND_TRANSPARENT, GenerationSpec
from mezzotint.inference.models.engine import Floats
from mezzotint.runtime.errors import FieldInvalid

# The contract's bounds on a picture that comes with a request. The pixels are counted before any is decoded.
BYTES_MAX, PIXELS_MAX = 8 * 1024 * 1024, 4096 * 4096
FORMATS = ("PNG", "JPEG", "WEBP")
# Pillow's modes of 16 and 32 bits, all of which hold grey from 0 to 65,535.
DEEP = ("I;16", "I;16B", "I;16L", "I")
# From this on a pixel of the mask counts as one to be drawn anew, of 255.
REDRAWN_MIN = 1

Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageInput:
    """A picture to begin from, RGBA, at the size of those to be drawn; `mask`, in mode L, is 255 where they are drawn anew."""

    image: Image.Image
    mask: Image.Image | None = None

    @property
    def pixels(self) -> Floats:
        """Straight RGBA (4, height, width) in [-1, 1]."""
        levels: Floats = np.asarray(self.image, np.float32).transpose(2, 0, 1) / 127.5 - 1
        return levels

    def cells(self, scale: int) -> Floats | None:
        """The mask by latent cells of `scale` × `scale` pixels, (1, h, w): 1 where any pixel is drawn anew, else 0."""
        if self.mask is None:
            return None
        levels = np.asarray(self.mask)
        height, width = (side // scale for side in levels.shape)
        any_redrawn: npt.NDArray[np.bool_] = levels.reshape(height, scale, width, scale).max(axis=(1, 3)) >= REDRAWN_MIN
        return any_redrawn[None].astype(np.float32)

    def kept_over(self, drawn: Image.Image) -> Image.Image:
        """What was drawn, RGBA, with the picture where its mask is black, to the bit; grey is a blend of both, by opacity."""
        if self.mask is None:
            return drawn
        blend = Image.composite(drawn.convert("RGBa"), self.image.convert("RGBa"), self.mask).convert("RGBA")
        blend.paste(self.image, mask=self.mask.point(lambda level: 255 * (level < REDRAWN_MIN)))
        blend.paste(drawn, mask=self.mask.point(lambda level: 255 * (level == 255)))
        return blend


def read(spec: GenerationSpec, image: bytes, mask: bytes) -> ImageInput:
    """The picture and mask (b"": none) of a resolved request. Raises FieldInvalid saying which of them is wrong and how."""
    size = (spec.width, spec.height)
    opened = decoded(image, "spec.image")
    covering = ImageOps.fit(opened, size, Image.Resampling.LANCZOS)
    if not spec.HasField("mask"):
        return ImageInput(covering)
    redrawn = _levels_of(decoded(mask, "spec.mask"), transparent=spec.mask_kind == MASK_KIND_TRANSPARENT)
    if redrawn.size != opened.size:
        raise FieldInvalid.of("spec.mask", f"it is {_text_of(redrawn)}, the image {_text_of(opened)}; they must be of one size")
    # Without a rim of grey where a hard edge is scaled.
    fitted = ImageOps.fit(redrawn, size, Image.Resampling.NEAREST if _is_hard(redrawn) else Image.Resampling.BILINEAR)
    if not fitted.getbbox():
        what = "transparent" if spec.mask_kind == MASK_KIND_TRANSPARENT else "white"
        raise FieldInvalid.of(
            "spec.mask",
            f"nothing in it ({_text_of(redrawn)}) is {what}, so nothing of the image ({_text_of(opened)}) would be drawn anew"
            + (f"; the parts that a picture of {size[0]}x{size[1]} leaves out do not count" if redrawn.getbbox() else ""),
        )
    return ImageInput(covering, fitted)


def decoded(data: bytes, field: str) -> Image.Image:
    """A picture, upright, as RGBA. Raises FieldInvalid naming `field`."""
    if len(data) > BYTES_MAX:
        raise FieldInvalid.of(field, f"it has {len(data)} bytes; {BYTES_MAX} at most are taken")
    image = _tried(field, lambda: Image.open(io.BytesIO(data), formats=FORMATS))
    if image.width * image.height > PIXELS_MAX:
        raise FieldInvalid.of(field, f"it has {_text_of(image)} pixels, which are more than {PIXELS_MAX}; send a smaller one")
    return _tried(field, lambda: _to_rgba(ImageOps.exif_transpose(image)))


def _tried(field: str, work: Callable[[], Result]) -> Result:
    """The result of work of Pillow's. Raises FieldInvalid when it fails: codecs raise all kinds of things on broken files."""
    try:
        return work()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FieldInvalid.of(field, f"it has more than {PIXELS_MAX} pixels; send a smaller one") from error
    except UnidentifiedImageError as error:
        raise FieldInvalid.of(
            field, f"it is no picture in the formats {', '.join(FORMATS)}, or its beginning is broken"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # see above
        raise FieldInvalid.of(field, f"the picture is broken or cut off: {error}") from error


def _to_rgba(image: Image.Image) -> Image.Image:
    """A picture of any of Pillow's modes with 8 bits a channel and opacity. Decodes it; of several frames the first."""
    image.load()
    if image.mode in DEEP:
        levels = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8))
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    return image.convert("RGBA")


def _levels_of(mask: Image.Image, *, transparent: bool) -> Image.Image:
    """A mask in mode L, 255 where pictures are drawn anew: what is transparent, or else what is white and opaque."""
    opacity = mask.getchannel("A")
    if transparent:
        return opacity.point(lambda level: 255 - level)
    black = Image.new("L", mask.size)
    return Image.composite(mask.convert("RGB").convert("L"), black, opacity)


def _is_hard(mask: Image.Image) -> bool:
    """Whether a mask is all black and white."""
    return sum(mask.histogram()[1:255]) == 0


def _text_of(image: Image.Image) -> str:
    """A size for people: "640x480"."""
    return f"{image.width}x{image.height}"
