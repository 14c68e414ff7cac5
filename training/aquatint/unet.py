"""The denoiser: a text-conditioned U-Net over 2x2 patches of the 32x32 latent."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from training.aquatint.blocks import Downsample, JointAttention, ResidualBlock, Upsample, sinusoids
from training.aquatint.draft import Draft
from training.aquatint.flow import TIMESTEPS

TIME_WIDTH = 128
DRAFT_SPREAD = 0.35  # root mean square of (picture - draft), about


@dataclass(frozen=True)
class UnetShape:
    """Sizes of the network; ``channels`` are those of the 16x16, 8x8 and 4x4 levels."""

    channels: tuple[int, ...] = (96, 192, 192)
    blocks: int = 2
    head_channels: int = 32
    words: int = 192
    condition: int = 256
    draft: int = 640
    latent_channels: int = 4
    latent_size: int = 32
    patch: int = 2


class Stage(nn.Module):
    """A residual block followed by joint attention."""

    def __init__(self, channels_in: int, channels: int, shape: UnetShape, *, attend: bool) -> None:
        super().__init__()
        self.residual = ResidualBlock(channels_in, channels, shape.condition)
        heads = max(1, channels // shape.head_channels)
        self.attention = JointAttention(channels, shape.words, heads) if attend else None

    def forward(self, image: Tensor, condition: Tensor, words: Tensor) -> Tensor:
        """(B, C_in, H, W), (B, E), (B, T, D) -> (B, C, H, W)."""
        image = self.residual(image, condition)
        return image if self.attention is None else self.attention(image, words)


class Unet(nn.Module):
    """U-Net (Ronneberger et al. 2015) that predicts the flow-matching velocity ``noise - data``."""

    def __init__(self, shape: UnetShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or UnetShape()
        patch_channels = shape.latent_channels * shape.patch**2
        self.time = nn.Sequential(
            nn.Linear(TIME_WIDTH, shape.condition), nn.SiLU(), nn.Linear(shape.condition, shape.condition)
        )
        self.text = nn.Linear(shape.words, shape.condition)
        self.stem = nn.Conv2d(2 * patch_channels, shape.channels[0], 3, padding=1)
        size = shape.latent_size // shape.patch
        self.position = nn.Parameter(torch.zeros(1, shape.channels[0], size, size))
        self.down, skips = self._build_down(shape)
        deepest = shape.channels[-1]
        self.draft = Draft(shape.words, (shape.latent_channels, shape.latent_size, shape.latent_size), shape.draft)
        self.middle = Stage(deepest, deepest, shape, attend=True)
        self.up = self._build_up(shape, skips)
        self.head_norm = nn.GroupNorm(16, shape.channels[0])
        self.head = nn.Conv2d(shape.channels[0], patch_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        self.head.bias = nn.Parameter(torch.zeros(patch_channels))

    @staticmethod
    def _build_down(shape: UnetShape) -> tuple[nn.ModuleList, list[int]]:
        """Build the descending stages; return them and the channels that each leaves for the way up."""
        stages, skips, width = nn.ModuleList(), [], shape.channels[0]
        for level, channels in enumerate(shape.channels):
            if level:
                stages.append(Downsample(width))
            for _ in range(shape.blocks):
                stages.append(Stage(width, channels, shape, attend=level > 0))
                width = channels
                skips.append(channels)
        return stages, skips

    @staticmethod
    def _build_up(shape: UnetShape, skips: list[int]) -> nn.ModuleList:
        """Build the ascending stages, which take back the skips in reverse."""
        stages, width, remaining = nn.ModuleList(), shape.channels[-1], list(skips)
        for level, channels in reversed(list(enumerate(shape.channels))):
            if level < len(shape.channels) - 1:
                stages.append(Upsample(width, channels))
                width = channels
            for _ in range(shape.blocks):
                stages.append(Stage(width + remaining.pop(), channels, shape, attend=level > 0))
        return stages

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, text_embeds: Tensor) -> Tensor:
        """Predict the velocity (B, 4, 32, 32) of ``sample`` (B, 4, 32, 32) at ``timestep`` (B,) in [0, 1000]."""
        draft = self.draft(text_embeds)
        correction = self.correct(sample, timestep, encoder_hidden_states, text_embeds, draft)
        expected, spread = velocity_given_draft(sample, draft, timestep / TIMESTEPS)
        return expected + spread * correction

    def correct(self, sample: Tensor, timestep: Tensor, words: Tensor, pooled: Tensor, draft: Tensor) -> Tensor:
        """Return what the network adds, in units of the velocity's spread (B, 4, 32, 32)."""
        condition = self.time(sinusoids(timestep, TIME_WIDTH)) + self.text(pooled)
        condition = functional.silu(condition)
        seen = torch.cat([sample, draft], dim=1)
        image = self.stem(functional.pixel_unshuffle(seen, self.shape.patch)) + self.position
        skips: list[Tensor] = []
        for stage in self.down:
            if isinstance(stage, Stage):
                image = stage(image, condition, words)
                skips.append(image)
            else:
                image = stage(image)
        image = self.middle(image, condition, words)
        for stage in self.up:
            if isinstance(stage, Stage):
                image = torch.cat([image, skips.pop()], dim=1)
                image = stage(image, condition, words)
            else:
                image = stage(image)
        image = self.head(functional.silu(self.head_norm(image)))
        return functional.pixel_shuffle(image, self.shape.patch)


def velocity_given_draft(sample: Tensor, draft: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor]:
    """Return the velocity to expect and its spread, were the picture Gaussian around the draft.

    With data ~ N(draft, DRAFT_SPREAD), the sample leaves this mean and standard deviation of ``noise - data``
    (preconditioning as in Karras et al. 2022, around a draft instead of zero). Shapes (B, 4, 32, 32) and (B, 1, 1, 1).
    """
    sigma = sigmas[:, None, None, None]
    kept, variance = 1 - sigma, DRAFT_SPREAD**2
    total = kept * kept * variance + sigma * sigma
    expected = (sample - kept * draft) * ((sigma - kept * variance) / total) - draft
    return expected, DRAFT_SPREAD * total.rsqrt()
