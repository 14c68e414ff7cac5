"""Put a picture into another colour: painted in one, or with its hues turned.

Colours are straight RGB in [0, 1]; pictures are float tensors (B, H, W, 4), straight RGBA.
"""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


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
