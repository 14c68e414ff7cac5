"""Which timesteps of the training a picture of few steps visits."""

import numpy as np

from mezzotint.inference.sampling.plan import Doubles
from mezzotint.inference.sampling.scheduler_config import Spacing

# How densely the levels of Karras et al. lie at their low end.
RHO = 7.0


def leading(trained: int, steps: int, offset: int) -> Doubles:
    """Every n-th timestep counted from the first, falling: (steps,)."""
    return np.arange(steps, dtype=np.float64)[::-1] * (trained // steps) + offset


def trailing(trained: int, steps: int) -> Doubles:
    """Every n-th timestep counted from the last, falling: (steps,)."""
    return np.round(trained - np.arange(steps) * (trained / steps)) - 1


def linspace(trained: int, steps: int) -> Doubles:
    """From the last timestep to the first in equal parts, which need not be whole: (steps,)."""
    return np.linspace(0, trained - 1, steps)[::-1]


def spaced(spacing: Spacing, trained: int, steps: int, offset: int) -> Doubles:
    """Timesteps (steps,), falling: the three ways of Lin et al. 2024, arXiv 2305.08891, table 2."""
    if spacing == "leading":
        return leading(trained, steps, offset)
    if spacing == "trailing":
        return trailing(trained, steps)
    return linspace(trained, steps)


def karras(highest: float, lowest: float, steps: int) -> Doubles:
    """Noise levels (steps,) from the highest to the lowest, dense where they are low (Karras et al. 2022, arXiv 2206.00364)."""
    ramp = np.linspace(0, 1, steps)
    levels: Doubles = (highest ** (1 / RHO) + ramp * (lowest ** (1 / RHO) - highest ** (1 / RHO))) ** RHO
    return levels


def timesteps_at(levels: Doubles, trained: Doubles) -> Doubles:
    """The timesteps at which the training's noise levels `trained` (timesteps,), rising, would be `levels` (steps,)."""
    return np.interp(np.log(levels), np.log(trained), np.arange(len(trained), dtype=np.float64))
