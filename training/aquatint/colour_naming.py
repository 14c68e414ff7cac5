"""Which colour word a picture deserves, with NumPy alone. Pictures are straight RGBA (B, H, W, 4) in [0, 1]."""

import numpy as np
from numpy.typing import NDArray

from training.aquatint.palette import COLOUR_NAMES

Floats = NDArray[np.float32]
# A chromatic pixel belongs to the paint of the nearest of these hues, in degrees.
HUE_ANCHORS = (
    (0.0, "red"),
    (28.0, "orange"),
    (48.0, "yellow"),
    (120.0, "green"),
    (180.0, "teal"),
    (220.0, "blue"),
    (275.0, "purple"),
    (325.0, "pink"),
    (352.0, "red"),
)


def hue_saturation_value(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Return hue in degrees and saturation and value in [0, 1], each of shape ``rgb.shape[:-1]``."""
    value, channel = rgb.max(-1), rgb.argmax(-1)
    chroma = value - rgb.min(-1)
    red, green, blue = (rgb[..., index] for index in range(3))
    safe = np.maximum(chroma, 1e-6)
    sextant = np.select(
        [channel == 0, channel == 1], [(green - blue) / safe, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    return (sextant * 60) % 360, chroma / np.maximum(value, 1e-6), value


def paint_index(rgb: Floats) -> NDArray[np.int64]:
    """Classify each pixel: its index into ``COLOUR_NAMES``, shape ``rgb.shape[:-1]``."""
    hue, saturation, value = hue_saturation_value(rgb)
    anchors = np.array([degrees for degrees, _ in HUE_ANCHORS])
    apart = np.abs(hue[..., None] - anchors)
    nearest = np.minimum(apart, 360 - apart).argmin(-1)
    index = np.array([COLOUR_NAMES.index(name) for _, name in HUE_ANCHORS])[nearest]
    warm_and_dark = (hue < 45) & (value < 0.62) & (saturation > 0.25) & (saturation < 0.85)
    index = np.where(warm_and_dark, COLOUR_NAMES.index("brown"), index)
    grey = np.where(value > 0.8, COLOUR_NAMES.index("white"), COLOUR_NAMES.index("gray"))
    index = np.where(saturation < 0.16, grey, index)
    return np.where(value < 0.25, COLOUR_NAMES.index("black"), index)


def dominant_colours(pictures: Floats, share_min: float = 0.55) -> list[str | None]:
    """Name the paint that covers at least ``share_min`` of each picture's opaque area, if one does."""
    opacity = pictures[..., 3].reshape(len(pictures), -1)
    index = paint_index(pictures[..., :3]).reshape(len(pictures), -1)
    named: list[str | None] = []
    for painted, weight in zip(index, opacity, strict=True):
        area = np.bincount(painted, weight, minlength=len(COLOUR_NAMES))
        winner = int(area.argmax())
        named.append(COLOUR_NAMES[winner] if area[winner] >= share_min * max(float(weight.sum()), 1e-6) else None)
    return named
