"""Pairs for the decoder: a picture at full size, and a latent as the denoiser would have drawn it."""

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from training.aquatint.base_model import BaseModel
from training.aquatint.colours import rotate_hue
from training.aquatint.flow import TIMESTEPS, noise_to
from training.aquatint.latents import to_latent
from training.aquatint.pictures import Bytes
from training.aquatint.tokenizer import MAX_TOKENS, PAD_ID, START_ID
from training.aquatint.upscaler import SCALE

NOISE_MAX = 0.12
HUE_SHARE = 0.3
REDRAWN_SIGMA_MAX = 0.45


class DecoderPairs:
    """Endless random pairs over the originals (N, 256, 256, 4), straight RGBA bytes."""

    def __init__(self, originals: Bytes, seed: int, base: BaseModel | None = None) -> None:
        """With a ``base`` model, half of the latents are redrawn by it from a little noise."""
        self.originals, self.base = originals, base
        self.chance = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Return latents (size, 4, 32, 32) and targets (size, 4, 256, 256), both in the latent's encoding."""
        rows = self.chance.integers(len(self.originals), size=size)
        pictures = torch.from_numpy(np.stack([self._view(row) for row in rows])).float() / 255
        degrees = torch.zeros(size)
        turned = torch.rand(size, generator=self.generator) < HUE_SHARE
        degrees[turned] = torch.rand(int(turned.sum()), generator=self.generator) * 360
        target = to_latent(rotate_hue(pictures, degrees))
        latent = functional.avg_pool2d(target, SCALE)
        return self._roughen(latent), target

    def _view(self, row: int) -> Bytes:
        """Flip, and now and then turn by a quarter: edges in every direction."""
        view = self.originals[row]
        if self.chance.random() < 0.5:
            view = view[:, ::-1]
        if self.chance.random() < 0.3:
            view = np.rot90(view, k=int(self.chance.integers(1, 4)))
        return np.ascontiguousarray(view)

    def _roughen(self, latent: Tensor) -> Tensor:
        """Add noise of random strength; let the base model redraw every other latent."""
        noise = torch.randn(latent.shape, generator=self.generator)
        # What is left of the noise in a drawn latent is blotchy: mixed with its mean over 3x3, which has a third of its spread.
        blotches = 3 * functional.avg_pool2d(noise, 3, stride=1, padding=1)
        mixed = torch.lerp(noise, blotches, torch.rand(len(latent), 1, 1, 1, generator=self.generator))
        strength = torch.rand(len(latent), 1, 1, 1, generator=self.generator) * NOISE_MAX
        rough = latent + mixed * strength
        if self.base is not None:
            rough[::2] = self._redraw(latent[::2], noise[::2])
        return rough.clamp(-1, 1)

    @torch.no_grad()
    def _redraw(self, latent: Tensor, noise: Tensor) -> Tensor:
        """Noise latents to a random sigma and return the base model's one-step estimate of the data."""
        assert self.base is not None
        sigmas = torch.rand(len(latent), generator=self.generator) * REDRAWN_SIGMA_MAX
        noisy = noise_to(sigmas, latent, noise)
        device = self.base.unet.position.device
        unconditional = torch.full((len(latent), MAX_TOKENS), PAD_ID)
        unconditional[:, 0] = START_ID
        velocity: Tensor = self.base(noisy.to(device), (sigmas * TIMESTEPS).to(device), unconditional.to(device))
        return noisy - sigmas[:, None, None, None] * velocity.to(noisy)
