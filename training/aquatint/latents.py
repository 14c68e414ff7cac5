"""The latent: what the denoiser draws, (B, 4, 32, 32) in [-1, 1].

Channels 0-2 are colour times opacity, ``alpha * (2 rgb - 1)``: zero (grey) wherever nothing is drawn,
so an edge pixel carries no colour of an invisible background. Channel 3 is ``2 alpha - 1``.
"""

import torch
from torch import Tensor


def to_latent(pictures: Tensor) -> Tensor:
    """Turn straight RGBA (B, H, W, 4) in [0, 1] into latents (B, 4, H, W)."""
    alpha = pictures[..., 3:]
    signed = torch.cat([(2 * pictures[..., :3] - 1) * alpha, 2 * alpha - 1], dim=-1)
    return signed.permute(0, 3, 1, 2).contiguous()


def to_straight(latent: Tensor, alpha_min: float = 1 / 255) -> Tensor:
    """Turn latents (B, 4, H, W) into straight RGBA in [-1, 1], same shape."""
    alpha = ((latent[:, 3:] + 1) / 2).clamp(0, 1)
    rgb = (latent[:, :3] / alpha.clamp_min(alpha_min)).clamp(-1, 1)
    return torch.cat([rgb, 2 * alpha - 1], dim=1)
