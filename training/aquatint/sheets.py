"""Contact sheets: pictures in a grid over a light checkerboard, with their prompts under them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from training.aquatint.pictures import Bytes

if TYPE_CHECKING:  # the exported bundle is drawn without torch
    from torch import Tensor

CAPTION_HEIGHT_PX = 14
SHEET_PROMPTS = (
    "red heart", "blue heart", "green heart", "blue rocket",
    "rocket", "cat", "cat face", "red cat",
    "pizza", "slice of pizza", "house", "dog",
    "face with sunglasses", "sunflower", "car", "green car",
    "apple", "purple star", "ghost", "birthday cake",
    "hamburger", "fish", "owl", "tree",
    "guitar", "crown", "umbrella", "robot",
    "smiling face", "a pink elephant", "rocket, flat style", "cat, flat",
)  # fmt: skip
SAMPLE_PROMPTS = (
    *SHEET_PROMPTS,
    "pig face", "lion", "elephant", "penguin",
    "whale", "butterfly", "frog", "unicorn",
    "strawberry", "banana", "doughnut", "ice cream",
    "airplane", "sailboat", "bicycle", "balloon",
    "sun", "crescent moon", "snowman", "fire",
    "purple cat", "a blue strawberry", "green penguin", "red whale",
    "blaue Rakete", "rotes Herz", "gato", "cuore blu",
    "pomme verte", "casa rosa", "chien", "steampunk castle, 3d",
)  # fmt: skip


def straight_bytes(straight: "Tensor") -> Bytes:
    """Turn straight RGBA (B, 4, H, W) in [-1, 1] into bytes (B, H, W, 4)."""
    scaled = ((straight.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).byte().cpu().numpy()


def checkerboard(size: int, square: int = 16) -> Image.Image:
    """Return a light checkerboard, which shows where a picture is transparent."""
    rows, columns = np.indices((size, size)) // square
    shade = np.where((rows + columns) % 2 == 0, 255, 240).astype(np.uint8)
    return Image.fromarray(shade).convert("RGBA")


def contact_sheet(pictures: Bytes, captions: Sequence[str], *, tile: int = 128, columns: int = 8) -> Image.Image:
    """Lay out pictures (N, H, W, 4) with their captions."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * tile, rows * (tile + CAPTION_HEIGHT_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = place % columns * tile, place // columns * (tile + CAPTION_HEIGHT_PX)
        resampling = Image.Resampling.NEAREST if picture.shape[0] < tile else Image.Resampling.LANCZOS
        shown = Image.fromarray(picture).convert("RGBa").resize((tile, tile), resampling)
        ground = checkerboard(tile)
        ground.alpha_composite(shown.convert("RGBA"))
        sheet.paste(ground.convert("RGB"), (left, top))
        draw.text((left + 2, top + tile), caption[: tile // 6], fill="black")
    return sheet


def save_sheet(path: Path, straight: "Tensor", captions: Sequence[str]) -> None:
    """Write a contact sheet of straight RGBA (B, 4, H, W) in [-1, 1]."""
    contact_sheet(straight_bytes(straight), captions).save(path)
