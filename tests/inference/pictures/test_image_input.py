"""Pictures that come with a request: what is read of them, and what is refused."""

import random

import numpy as np
import pytest
from PIL import Image

from mezzotint.api.inference.v1.generation_pb2 import MASK_KIND_TRANSPARENT, GenerationSpec, InputImage
from mezzotint.inference.pictures.image_input import BYTES_MAX, ImageInput, decoded, read
from mezzotint.runtime.errors import FieldInvalid
from tests.inference.given_pictures import bomb, encoded, gradient, right_half

RED = (255, 0, 0, 255)


def given(image: bytes, mask: bytes = b"", **fields: object) -> ImageInput:
    spec = GenerationSpec(width=256, height=256, image=InputImage(data=image), **fields)  # type: ignore[arg-type]  # by name
    if mask:
        spec.mask.data = mask
    return read(spec, image, mask)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def colour(image: Image.Image, x: int = 2, y: int = 2) -> tuple[int, ...]:
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_formats_and_modes(kind: str, mode: str) -> None:
    """Each format is read in every mode that it can be written in, and a red picture is red or grey."""
    made = Image.new("RGB", (16, 16), "red").convert(mode)
    if (kind, mode) in {("JPEG", "RGBA"), ("JPEG", "LA"), ("JPEG", "P"), ("PNG", "CMYK"), ("WEBP", "CMYK"), ("WEBP", "1")}:
        return
    image = decoded(encoded(made, kind), "spec.image")
    assert (image.mode, image.size) == ("RGBA", (16, 16))
    expected = (255, 0, 0, 255) if mode in {"RGB", "RGBA", "P", "CMYK"} else None
    if expected:
        assert colour(image) == pytest.approx(expected, abs=6)


def test_sixteen_bits_are_scaled_and_not_cut() -> None:
    """A grey of half the range is a grey of half the range."""
    levels = np.full((8, 8), 32768, np.uint16)
    assert colour(decoded(encoded(Image.fromarray(levels)), "spec.image")) == (128, 128, 128, 255)


def test_a_transparent_palette() -> None:
    """Transparency of a palette and of a colour key is opacity 0."""
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    assert colour(decoded(encoded(image, transparency=0), "spec.image"))[3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_it_upright(orientation: int) -> None:
    """Whichever way a camera was held, the picture comes out as it was seen."""
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 16, 8))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decoded(encoded(stored, "JPEG", exif=exif, quality=95), "spec.image")
    assert image.size == (32, 16)
    assert colour(image, 2, 2) == pytest.approx(RED, abs=8)
    assert colour(image, 30, 2)[2] > 240


def test_of_an_animation_the_first_frame() -> None:
    """An animated WebP and PNG count as their first frame."""
    frames = [Image.new("RGB", (16, 16), name) for name in ("red", "green", "blue")]
    for kind in ("WEBP", "PNG"):
        made = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert colour(decoded(made, "spec.image")) == pytest.approx(RED, abs=6)


def test_it_is_cut_to_shape_from_its_middle() -> None:
    """A wide picture loses its sides, and is not squeezed."""
    wide = Image.new("RGBA", (600, 200), "white")
    wide.paste("red", (200, 0, 400, 200))
    image = given(encoded(wide)).image
    assert image.size == (256, 256)
    # What is scaled takes a little of its neighbours.
    assert colour(image) == pytest.approx(RED, abs=10)
    assert colour(image, 253, 253) == pytest.approx(RED, abs=10)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GIF89a" + bytes(50), "PNG, JPEG, WEBP"),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), "PNG, JPEG, WEBP"),
        (encoded(Image.new("RGB", (8, 8)), "TIFF"), "PNG, JPEG, WEBP"),
        (b"\x89PNG\r\n\x1a\n", "PNG, JPEG, WEBP"),
        (b"x", "PNG, JPEG, WEBP"),
        (half(encoded(gradient())), "cut off"),
        (half(encoded(gradient().convert("RGB"), "JPEG")), "cut off"),
        (half(encoded(gradient(), "WEBP")), "cut off|broken"),
        (bomb(), "16777216"),
        (bomb(12_000), "16777216"),
        (bomb(4200), "4200x4200"),
        (bytes(BYTES_MAX + 1), "8388608"),
    ],
    ids=["no gif", "gif", "tiff", "only a magic", "a byte", "png", "jpeg", "webp", "bomb", "144 MP", "17 MP", "bytes"],
)
def test_bad_pictures_are_refused(data: bytes, reason: str) -> None:
    """What is no picture, cut off or too large is a FieldInvalid that names the field and the reason."""
    for field in ("spec.image", "spec.mask"):
        with pytest.raises(FieldInvalid, match=reason) as caught:
            decoded(data, field)
        assert caught.value.violations[0].field == field


def test_garbage_is_only_ever_refused() -> None:
    """Bytes turned at random in good files give a picture or FieldInvalid, and nothing else."""
    chance = random.Random(5)
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = encoded(gradient(40, 30).convert("RGB"), kind)
        for _ in range(150):
            broken = bytearray(whole)
            for _ in range(chance.choice([1, 4, 40])):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                assert decoded(bytes(broken), "spec.image").mode == "RGBA"
            except FieldInvalid:
                continue


@pytest.mark.parametrize(
    ("mask", "kind", "reason"),
    [
        (right_half(128, 256), 0, "128x256.*256x256"),
        (Image.new("L", (256, 256), 0), 0, r"256x256.*white.*256x256"),
        (Image.new("RGBA", (256, 256), (255, 255, 255, 0)), 0, "white"),
        (Image.new("RGBA", (256, 256), "white"), MASK_KIND_TRANSPARENT, "transparent"),
        (right_half(), MASK_KIND_TRANSPARENT, "transparent"),
    ],
)
def test_masks_that_cannot_work(mask: Image.Image, kind: int, reason: str) -> None:
    """A mask of another size, and one in which nothing is to be drawn anew, are refused with both sizes."""
    with pytest.raises(FieldInvalid, match=reason) as caught:
        given(encoded(gradient()), encoded(mask), mask_kind=kind)
    assert caught.value.violations[0].field == "spec.mask"


def test_a_mask_that_is_empty_where_it_counts() -> None:
    """A mask whose white lies in what the shape cuts off is refused, and says so."""
    mask = Image.new("L", (600, 200), 0)
    mask.paste(255, (0, 0, 50, 200))
    with pytest.raises(FieldInvalid, match="256x256 leaves out"):
        given(encoded(gradient(600, 200)), encoded(mask))


def test_masks_of_both_kinds_agree() -> None:
    """White and transparent masks mean the same, and a cell with one pixel to be drawn anew is drawn anew."""
    white = right_half()
    clear = Image.new("RGBA", white.size, "black")
    clear.putalpha(white.point(lambda level: 255 - level))
    one = given(encoded(gradient()), encoded(white))
    other = given(encoded(gradient()), encoded(clear), mask_kind=MASK_KIND_TRANSPARENT)
    assert one.mask is not None
    assert other.mask is not None
    assert one.mask.tobytes() == other.mask.tobytes()
    cells = one.cells(8)
    assert cells is not None
    assert cells.shape == (1, 32, 32)
    assert (cells[0, :, :16] == 0).all()
    assert (cells[0, :, 16:] == 1).all()


def test_what_is_kept_is_kept_to_the_bit() -> None:
    """Also where the picture is transparent; grey in the mask is a blend."""
    image = gradient()
    image.putalpha(Image.linear_gradient("L"))
    mask = right_half()
    mask.paste(128, (100, 0, 128, 256))
    kept = given(encoded(image), encoded(mask))
    result = np.asarray(kept.kept_over(Image.new("RGBA", (256, 256), "lime")))
    np.testing.assert_array_equal(result[:, :100], np.asarray(image)[:, :100])
    assert (result[:, 128:] == (0, 255, 0, 255)).all()
    assert 40 < result[250, 110, 0] < np.asarray(image)[250, 110, 0]
