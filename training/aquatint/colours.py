"""The colour words: which one a picture deserves, and how to paint a picture in one.

Colours are straight RGB in [0, 1]; pictures are float tensors (B, H, W, 4), straight RGBA.
"""

import torch
from torch import Tensor

from training.aquatint.palette import COLOUR_NAMES

LUMA = (0.299, 0.587, 0.114)
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


def hue_saturation_value(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue in degrees and saturation and value in [0, 1], each of shape ``rgb.shape[:-1]``."""
    value, channel = rgb.max(dim=-1)
    chroma = value - rgb.min(dim=-1).values
    red, green, blue = rgb.unbind(-1)
    safe = chroma.clamp_min(1e-6)
    sextant = torch.where(
        channel == 0,
        (green - blue) / safe,
        torch.where(channel == 1, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return (sextant * 60) % 360, chroma / value.clamp_min(1e-6), value


def paint_index(rgb: Tensor) -> Tensor:
    """Classify each pixel: its index into ``COLOUR_NAMES``, shape ``rgb.shape[:-1]``."""
    hue, saturation, value = hue_saturation_value(rgb)
    anchors = torch.tensor([degrees for degrees, _ in HUE_ANCHORS])
    apart = (hue[..., None] - anchors).abs()
    nearest = torch.minimum(apart, 360 - apart).argmin(dim=-1)
    names = torch.tensor([COLOUR_NAMES.index(name) for _, name in HUE_ANCHORS])
    index = names[nearest]
    warm_and_dark = (hue < 45) & (value < 0.62) & (saturation > 0.25) & (saturation < 0.85)
    index = torch.where(warm_and_dark, COLOUR_NAMES.index("brown"), index)
    grey = torch.where(value > 0.8, COLOUR_NAMES.index("white"), COLOUR_NAMES.index("gray"))
    index = torch.where(saturation < 0.16, grey, index)
    return torch.where(value < 0.25, COLOUR_NAMES.index("black"), index)


def dominant_colours(pictures: Tensor, share_min: float = 0.55) -> list[str | None]:
    """Name the paint that covers at least ``share_min`` of each picture's opaque area, if one does."""
    opacity = pictures[..., 3].flatten(1)
    index = paint_index(pictures[..., :3]).flatten(1)
    area = torch.zeros(len(pictures), len(COLOUR_NAMES)).scatter_add_(1, index, opacity)
    share, winner = (area / opacity.sum(1, keepdim=True).clamp_min(1e-6)).max(dim=1)
    return [COLOUR_NAMES[int(which)] if float(part) >= share_min else None for part, which in zip(share, winner, strict=True)]


def paint(pictures: Tensor, colours: Tensor, keep: Tensor) -> Tensor:
    """Repaint pictures in one colour each, keeping their shading.

    Luma is mapped black -> colour -> white, with the picture's own mean luma at the colour.
    ``colours`` (B, 3); ``keep`` (B,) is the part of the original colour that shines through.
    """
    rgb, alpha = pictures[..., :3], pictures[..., 3:]
    luma = (rgb * torch.tensor(LUMA)).sum(-1, keepdim=True)
    area = alpha.sum((1, 2, 3), keepdim=True).clamp_min(1e-6)
    mean = ((luma * alpha).sum((1, 2, 3), keepdim=True) / area).clamp(0.05, 0.95)
    level = luma.clamp(1e-4, 1) ** (torch.log(torch.tensor(0.5)) / torch.log(mean))
    colour = colours[:, None, None, :]
    shaded = torch.where(level < 0.5, colour * (0.35 + 1.3 * level), colour + (1 - colour) * (level - 0.5) * 1.4)
    kept = keep[:, None, None, None]
    return torch.cat([(shaded * (1 - kept) + rgb * kept).clamp(0, 1), alpha], dim=-1)


def rotate_hue(pictures: Tensor, degrees: Tensor) -> Tensor:
    """Turn the hue of each picture by ``degrees`` (B,), keeping luma (rotation in the YIQ plane)."""
    radians = torch.deg2rad(degrees)
    cosine, sine = radians.cos(), radians.sin()
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    turn = torch.zeros(len(pictures), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1], turn[:, 1, 2] = cosine, -sine
    turn[:, 2, 1], turn[:, 2, 2] = sine, cosine
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    turned = torch.einsum("bij,bhwj->bhwi", matrix, pictures[..., :3]).clamp(0, 1)
    return torch.cat([turned, pictures[..., 3:]], dim=-1)
