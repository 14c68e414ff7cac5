"""DPM-Solver++(2M): a second-order step from the data of this step and of the one before (Lu et al. 2022, arXiv 2211.01095).

The levels and the steps of first order at the ends are those of `DPMSolverMultistepScheduler` in diffusers.
"""

import numpy as np
import numpy.typing as npt

from mezzotint.inference.sampling import spacing
from mezzotint.inference.sampling.flow_match import shift_of, shifted
from mezzotint.inference.sampling.plan import Doubles, Plan
from mezzotint.inference.sampling.prediction import data_weights
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.training_noise import sigmas

# With fewer steps the last one is of first order, which is steadier, if the model's scheduler says so.
FEW_STEPS = 15
STRIDE_MIN = 1e-12


def dpm_solver(config: SchedulerConfig, steps: int, tokens: int) -> Plan:
    """Steps of second order; the first, and as configured the last, of first order."""
    timesteps, levels = visited(config, steps, tokens)
    signal, spread = split(config, levels)
    of_sample, of_output = data_weights(config.prediction_type, signal[:-1], spread[:-1])
    with np.errstate(divide="ignore"):
        stride = np.diff(np.log(signal) - np.log(spread))
    # How much of the way to the data a step goes: all of it where the next level is 0, and the stride infinite.
    data = signal[1:] * -np.expm1(-stride)
    bend = np.where(second_order(config, steps, levels[-1] == 0), bends(config, signal[1:], stride), 0.0)
    return Plan(
        timesteps,
        data_sample=of_sample,
        data_output=of_output,
        sample=spread[1:] / spread[:-1],
        data=data + bend,
        before=-bend,
        signal=signal[:-1],
        spread=spread[:-1],
    )


def bends(config: SchedulerConfig, following: Doubles, stride: Doubles) -> Doubles:
    """The weight of the data's change since the step before, (steps,); that of the first step means nothing."""
    with np.errstate(invalid="ignore"):
        bend: Doubles = following * (stride / np.append(np.inf, stride[:-1]))
    if config.solver_type == "midpoint":
        return bend * -np.expm1(-stride) / 2
    # The bound stands for the limit of a step that goes nowhere: to a least level that was reached before.
    return bend * (np.expm1(-stride) / np.maximum(stride, STRIDE_MIN) + 1)


def second_order(config: SchedulerConfig, steps: int, ends_at_zero: bool) -> npt.NDArray[np.bool_]:
    """Which steps are of second order, (steps,)."""
    orders = np.arange(steps) > 0
    if ends_at_zero or config.euler_at_final or (config.lower_order_final and steps < FEW_STEPS):
        orders[-1] = False
    return orders


def split(config: SchedulerConfig, levels: Doubles) -> tuple[Doubles, Doubles]:
    """Signal and spread of samples at noise levels."""
    if config.is_flow:
        return 1 - levels, levels
    signal = 1 / np.sqrt(levels**2 + 1)
    return signal, levels * signal


def visited(config: SchedulerConfig, steps: int, tokens: int) -> tuple[Doubles, Doubles]:
    """The timesteps (steps,), and the noise levels before each step and after the last (steps + 1,)."""
    count = config.num_train_timesteps
    if config.is_flow:
        levels = shifted(np.linspace(1 - 1 / count, 0.0, steps + 1), shift_of(config, tokens))
        # diffusers cuts these timesteps to whole ones; the model is better told its noise level as it is.
        return levels[:-1] * count, levels
    trained = sigmas(config)
    if config.use_karras_sigmas:
        levels = spacing.karras(trained[-1], trained[0], steps)
        # Of the nearest whole timestep; diffusers cuts instead of rounding where the schedule is a cosine.
        timesteps = np.round(spacing.timesteps_at(levels, trained))
    else:
        timesteps = whole_timesteps(config, steps)
        levels = trained[timesteps.astype(np.int64)]
    last = trained[0] if config.final_sigmas_type == "sigma_min" else 0.0
    return timesteps, np.append(levels, last)


def whole_timesteps(config: SchedulerConfig, steps: int) -> Doubles:
    """Whole timesteps (steps,), falling, of which the last is not the training's first."""
    count, way = config.num_train_timesteps, config.timestep_spacing or "linspace"
    if way == "trailing":
        return spacing.trailing(count, steps)
    one_more = spacing.spaced(way, count, steps + 1, config.steps_offset)
    return np.round(one_more)[:-1]
