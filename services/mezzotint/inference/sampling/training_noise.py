"""How much noise a diffusion model met at each timestep of its training.

A sample at timestep t is √ᾱ_t × data + √(1 - ᾱ_t) × noise (Ho et al. 2020, arXiv 2006.11239).
"""

from functools import lru_cache

import numpy as np

from mezzotint.inference.sampling.plan import Doubles
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig

# The cosine schedule's offset, and the greatest part of the signal that one timestep may take (Nichol & Dhariwal 2021, arXiv
# 2102.09672).
COSINE_OFFSET, BETA_MAX = 0.008, 0.999
# Stands for zero where a method divides by the signal: the least positive number of 16 bits, as in diffusers.
ALMOST_ZERO = 2.0**-24


@lru_cache(maxsize=64)
def alpha_bars(config: SchedulerConfig) -> Doubles:
    """ᾱ of every timestep, (timesteps,), falling."""
    bars: Doubles = np.cumprod(1 - betas(config), dtype=np.float64)
    if config.rescale_betas_zero_snr:
        # Lin et al. 2024, arXiv 2305.08891, algorithm 1: the last timestep becomes pure noise, the first stays.
        roots: Doubles = np.sqrt(bars)
        bars = np.square((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1])))
    return bars


def betas(config: SchedulerConfig) -> Doubles:
    """The part of the signal's power that each timestep of the training took, (timesteps,)."""
    count, first, last = config.num_train_timesteps, config.beta_start, config.beta_end
    if config.beta_schedule == "linear":
        return np.linspace(first, last, count)
    if config.beta_schedule == "scaled_linear":
        return np.linspace(first**0.5, last**0.5, count) ** 2
    left: Doubles = np.cos((np.arange(count + 1) / count + COSINE_OFFSET) / (1 + COSINE_OFFSET) * np.pi / 2) ** 2
    steep: Doubles = np.minimum(1 - left[1:] / left[:-1], BETA_MAX)
    return steep


def sigmas(config: SchedulerConfig) -> Doubles:
    """Noise over signal of every timestep, (timesteps,), rising and finite: the noise levels of Karras et al. 2022."""
    bars = alpha_bars(config).copy()
    if config.rescale_betas_zero_snr:
        bars[-1] = ALMOST_ZERO
    levels: Doubles = np.sqrt((1 - bars) / bars)
    return levels
