"""How much noise a diffusion model met at each timestep of its training.

A sample at timestep t is √ᾱ_t × data + √(1 - ᾱ_t) × noise (Ho et al. 2020, arXiv 2006.11239).
"""

from functools import lru_cache

import numpy as np

from mezzotint.inference.sampling.beta_schedule import betas
from mezzotint.inference.sampling.plan import Doubles
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig

# Stands for zero where a method divides by the signal: the least positive number of 16 bits, as in diffusers.
ALMOST_ZERO = 2.0**-24


@lru_cache(maxsize=64)
def alpha_bars(config: SchedulerConfig) -> Doubles:
    """ᾱ of every timestep, (timesteps,), falling."""
    parts = betas(config.beta_schedule, config.num_train_timesteps, config.beta_start, config.beta_end)
    bars: Doubles = np.cumprod(1 - parts, dtype=np.float64)
    if config.rescale_betas_zero_snr:
        # Lin et al. 2024, arXiv 2305.08891, algorithm 1: the last timestep becomes pure noise, the first stays.
        roots: Doubles = np.sqrt(bars)
        bars = np.square((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1])))
    return bars


def sigmas(config: SchedulerConfig) -> Doubles:
    """Noise over signal of every timestep, (timesteps,), rising and finite: the noise levels of Karras et al. 2022."""
    bars = alpha_bars(config).copy()
    if config.rescale_betas_zero_snr:
        bars[-1] = min(ALMOST_ZERO, bars[-2] / 2)
    levels: Doubles = np.sqrt((1 - bars) / bars)
    return levels
