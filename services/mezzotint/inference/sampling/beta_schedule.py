"""The three usual ways in which the noise of a diffusion model's training grows from timestep to timestep."""

from typing import Literal

import numpy as np

from mezzotint.inference.sampling.plan import Doubles

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
# The cosine schedule's offset, and the greatest part of the signal that one timestep may take (Nichol & Dhariwal 2021, arXiv
# 2102.09672).
COSINE_OFFSET, BETA_MAX = 0.008, 0.999


def betas(schedule: BetaSchedule, count: int, first: float, last: float) -> Doubles:
    """The part of the signal's power that each of `count` timesteps takes, (count,); the cosine needs no `first` and `last`."""
    if schedule == "linear":
        return np.linspace(first, last, count)
    if schedule == "scaled_linear":
        return np.linspace(first**0.5, last**0.5, count) ** 2
    left: Doubles = np.cos((np.arange(count + 1) / count + COSINE_OFFSET) / (1 + COSINE_OFFSET) * np.pi / 2) ** 2
    steep: Doubles = np.minimum(1 - left[1:] / left[:-1], BETA_MAX)
    return steep
