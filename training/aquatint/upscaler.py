"""The decoder: 32x32 latents -> 256x256 RGBA, a deterministic residual super-resolver.

EDSR-style residual blocks without normalisation (Lim et al. 2017) and sub-pixel convolutions
(Shi et al. 2016) on top of a bilinear enlargement.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from training.aquatint.latents import to_straight

SCALE = 8
# Opacity below the first level becomes none, above the second full: clean grounds, solid bodies.
ALPHA_LEVELS = (0.03, 0.97)


@dataclass(frozen=True)
class UpscalerShape:
    """Channels and residual blocks at 32x32, 64x64 and 128x128."""

    channels: tuple[int, int, int] = (72, 48, 32)
    blocks: tuple[int, int, int] = (6, 2, 1)
    latent_channels: int = 4


class PlainBlock(nn.Module):
    """Two convolutions around a SiLU; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        refined: Tensor = self.second(functional.silu(self.first(image)))
        return image + refined


class SubPixel(nn.Module):
    """Double height and width: a convolution to four times the channels, then a shuffle."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C, 2H, 2W)."""
        return functional.pixel_shuffle(self.conv(image), 2)


class Upscaler(nn.Module):
    """Adds what a bilinear enlargement lacks; input and output are in the latent's own encoding."""

    def __init__(self, shape: UpscalerShape | None = None) -> None:
        super().__init__()
        shape = shape or UpscalerShape()
        layers: list[nn.Module] = []
        width = shape.latent_channels
        for level, (channels, blocks) in enumerate(zip(shape.channels, shape.blocks, strict=True)):
            stem = nn.Conv2d(width, channels, 3, padding=1)
            layers.append(SubPixel(width, channels) if level else stem)
            layers += [PlainBlock(channels) for _ in range(blocks)]
            width = channels
        self.body = nn.Sequential(*layers)
        self.head = SubPixel(width, shape.latent_channels)
        nn.init.zeros_(self.head.conv.weight)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, 4, 32, 32) -> (B, 4, 256, 256)."""
        # Shifted so that the zero padding of the convolutions means "transparent".
        shifted = latent + torch.tensor([0.0, 0.0, 0.0, 1.0], device=latent.device).view(1, 4, 1, 1)
        large = functional.interpolate(latent, scale_factor=SCALE, mode="bilinear")
        detail: Tensor = self.head(functional.silu(self.body(shifted)))
        return large + detail


class Decoder(nn.Module):
    """The upscaler and the way to straight RGBA: what is exported as ``vae_decoder``."""

    def __init__(self, upscaler: Upscaler) -> None:
        super().__init__()
        self.upscaler = upscaler

    def forward(self, latent_sample: Tensor) -> Tensor:
        """(B, 4, 32, 32) latents -> (B, 4, 256, 256) straight RGBA in [-1, 1]."""
        drawn = self.upscaler(latent_sample)
        low, high = ALPHA_LEVELS
        alpha = ((drawn[:, 3:] + 1) / 2).clamp(0, 1)
        solid = ((alpha - low) / (high - low)).clamp(0, 1)
        straight = to_straight(torch.cat([drawn[:, :3], 2 * alpha - 1], dim=1))
        return torch.cat([straight[:, :3], 2 * solid - 1], dim=1)
