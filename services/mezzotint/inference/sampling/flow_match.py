"""Flow-matching models: their noise levels and Euler steps along the velocity (Esser et al. 2024, arXiv 2403.03206).

A sample at noise level sigma is (1 - sigma) data + sigma noise; the model predicts the velocity, noise - data. The levels are
those of `FlowMatchEulerDiscreteScheduler` in diffusers.
"""

import math

import numpy as np

from mezzotint.inference.sampling.plan import Doubles, Plan
from mezzotint.inference.sampling.scheduler_config import SHIFT_MAX, SHIFT_MIN, SchedulerConfig


def shift_of(config: SchedulerConfig, tokens: int) -> float:
    """How much longer than even steps a picture of `tokens` image tokens dwells in noise: from SHIFT_MIN to SHIFT_MAX."""
    if not config.use_dynamic_shifting:
        return config.shift
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    mu = config.base_shift + slope * (tokens - config.base_image_seq_len)
    if config.time_shift_type == "linear":
        return min(max(mu, SHIFT_MIN), SHIFT_MAX)
    return math.exp(min(max(mu, math.log(SHIFT_MIN)), math.log(SHIFT_MAX)))


def shifted(sigmas: Doubles, shift: float) -> Doubles:
    """Noise levels moved toward noise by a `shift` above 1; 0 and 1 stay."""
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def schedule(config: SchedulerConfig, steps: int, tokens: int) -> Doubles:
    """The noise levels before each step and after the last: (steps + 1,), from 1 to 0."""
    shift = shift_of(config, tokens)
    least = np.array([1 / config.num_train_timesteps])
    if not config.use_dynamic_shifting:
        # As in diffusers, the least noise level is shifted once as the range's end and once more with all others.
        least = shifted(least, shift)
    return np.append(shifted(np.linspace(1.0, least[0], steps), shift), 0.0)


def euler(config: SchedulerConfig, steps: int, tokens: int) -> Plan:
    """Steps along the velocity."""
    levels = schedule(config, steps, tokens)
    return Plan(
        levels[:-1] * config.num_train_timesteps,
        data_sample=1.0,
        data_output=-levels[:-1],
        sample=1.0,
        output=np.diff(levels),
        signal=1 - levels[:-1],
        spread=levels[:-1],
    )


def consistency(config: SchedulerConfig, steps: int, tokens: int) -> Plan:
    """To the data at once and back to the next level with fresh noise (Song et al. 2023, arXiv 2303.01469, algorithm 1)."""
    levels = schedule(config, steps, tokens)
    return Plan(
        levels[:-1] * config.num_train_timesteps,
        data_sample=1.0,
        data_output=-levels[:-1],
        data=1 - levels[1:],
        noise=levels[1:],
        signal=1 - levels[:-1],
        spread=levels[:-1],
    )
