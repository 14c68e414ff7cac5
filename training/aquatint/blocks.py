"""The U-Net's parts: time embedding, residual block, joint attention, resampling."""

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

NORM_GROUPS = 16


def sinusoids(timestep: Tensor, width: int, period_max: float = 10_000.0) -> Tensor:
    """Embed times (B,) in [0, 1000] as (B, width) cosines and sines (Vaswani et al. 2017)."""
    half = width // 2
    exponent = torch.arange(half, device=timestep.device, dtype=torch.float32) / half
    angles = timestep.float()[:, None] * torch.exp(-math.log(period_max) * exponent)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResidualBlock(nn.Module):
    """Two convolutions, the second scaled and shifted by the condition (AdaGN, Dhariwal & Nichol 2021)."""

    def __init__(self, channels_in: int, channels: int, condition: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(NORM_GROUPS, channels_in)
        self.conv_in = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulate = nn.Linear(condition, 2 * channels)
        self.norm_out = nn.GroupNorm(NORM_GROUPS, channels)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) and condition (B, E) to (B, channels, H, W)."""
        hidden = self.conv_in(functional.silu(self.norm_in(image)))
        scale, shift = self.modulate(condition)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm_out(hidden) * (1 + scale) + shift
        drawn: Tensor = self.skip(image) + self.conv_out(functional.silu(hidden))
        return drawn


class JointAttention(nn.Module):
    """Image positions attend to image positions and words in one softmax (as in GLIDE, Nichol et al. 2021).

    A padded word is a zero state, so without biases its key and value are zero: it adds nothing.
    """

    def __init__(self, channels: int, words: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(NORM_GROUPS, channels)
        self.query_key_value = nn.Linear(channels, 3 * channels, bias=False)
        self.word_key_value = nn.Linear(words, 2 * channels, bias=False)
        self.project = nn.Linear(channels, channels)
        nn.init.zeros_(self.project.weight)

    def forward(self, image: Tensor, words: Tensor) -> Tensor:
        """Map (B, C, H, W) and words (B, T, D) to (B, C, H, W)."""
        channels, height, width = image.shape[1:]
        positions = self.norm(image).flatten(2).transpose(1, 2)
        query, key, value = self.query_key_value(positions).chunk(3, dim=-1)
        word_key, word_value = self.word_key_value(words).chunk(2, dim=-1)
        key, value = torch.cat([key, word_key], 1), torch.cat([value, word_value], 1)
        query, key, value = map(self._split, (query, key, value))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        mixed = scores.softmax(-1) @ value
        joined: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return image + joined.transpose(1, 2).reshape(-1, channels, height, width)

    def _split(self, packed: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, C / heads)."""
        tokens, channels = packed.shape[1:]
        return packed.reshape(-1, tokens, self.heads, channels // self.heads).transpose(1, 2)


class Downsample(nn.Module):
    """Halve height and width with a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/2, W/2)."""
        halved: Tensor = self.conv(image)
        return halved


class Upsample(nn.Module):
    """Double height and width: nearest neighbour, then a convolution."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C, 2H, 2W)."""
        doubled: Tensor = self.conv(functional.interpolate(image, scale_factor=2.0, mode="nearest"))
        return doubled
