"""Flow matching (Lipman et al. 2023; rectified flow, Liu et al. 2023): loss and sampler.

``x_s = (1 - s) data + s noise`` for sigma ``s`` in [0, 1]; the network predicts ``noise - data``
and is told ``timestep = 1000 s``.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

TIMESTEPS = 1000.0
Velocity = Callable[[Tensor, Tensor], Tensor]


def draw_sigmas(size: int, generator: torch.Generator, mean: float = 0.0, spread: float = 1.0) -> Tensor:
    """Draw sigmas (size,) from the logit-normal distribution (Esser et al. 2024)."""
    return torch.sigmoid(torch.randn(size, generator=generator) * spread + mean)


def noise_to(sigmas: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Interpolate latents (B, C, H, W) to their sigmas (B,)."""
    part = sigmas[:, None, None, None]
    return (1 - part) * data + part * noise


def sigma_schedule(steps: int, shift: float) -> Tensor:
    """Return ``steps + 1`` sigmas from 1 to 0, spaced as diffusers' FlowMatchEulerDiscreteScheduler spaces them.

    Like there, the least sigma is shifted once as the end of the range, and again with all others.
    """
    least = shift / TIMESTEPS / (1 + (shift - 1) / TIMESTEPS)
    linear = torch.linspace(1, least, steps)
    return torch.cat([shift * linear / (1 + (shift - 1) * linear), torch.zeros(1)])


def integrate(velocity: Velocity, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Follow the velocity from noise to data with Euler steps."""
    sample = noise
    for sigma, following in pairwise(sigmas):
        timestep = sample.new_full((len(sample),), float(sigma) * TIMESTEPS)
        sample = sample + float(following - sigma) * velocity(sample, timestep)
    return sample
