"""A picture in a terminal: two pixels a character cell, the upper one as colour of "▀", the lower one as its background."""

import io

from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

# Less opaque than this is left empty, so that the terminal's own background shows.
ALPHA_MIN = 96
Pixel = tuple[int, int, int, int]


def halfblocks(encoded: bytes, columns: int, rows: int) -> Text:
    """An encoded picture, scaled into so many columns and rows of characters."""
    with Image.open(io.BytesIO(encoded)) as opened:
        image = opened.convert("RGBA")
    scale = min(columns / image.width, 2 * rows / image.height, 1)
    width, height = max(1, round(image.width * scale)), max(2, round(image.height * scale / 2) * 2)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    text = Text(no_wrap=True)
    for y in range(0, height, 2):
        for x in range(width):
            text.append(*cell(pixel(image, x, y), pixel(image, x, y + 1)))
        text.append("\n")
    return text


def pixel(image: Image.Image, x: int, y: int) -> Pixel:
    """One pixel of an RGBA image."""
    value = image.getpixel((x, y))
    assert isinstance(value, tuple), "an RGBA pixel has four parts"
    red, green, blue, alpha = value
    return int(red), int(green), int(blue), int(alpha)


def cell(upper: Pixel, lower: Pixel) -> tuple[str, Style]:
    """The character and colours of two pixels, one above the other."""
    if upper[3] < ALPHA_MIN and lower[3] < ALPHA_MIN:
        return " ", Style.null()
    if upper[3] < ALPHA_MIN:
        return "▄", Style(color=color(lower))
    if lower[3] < ALPHA_MIN:
        return "▀", Style(color=color(upper))
    return "▀", Style(color=color(upper), bgcolor=color(lower))


def color(value: Pixel) -> Color:
    """A pixel's colour."""
    return Color.from_rgb(*value[:3])
