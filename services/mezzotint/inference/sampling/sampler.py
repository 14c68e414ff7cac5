"""The methods that pictures are drawn by, and which of them fit a model."""

import math
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from mezzotint.inference.sampling import ddim, dpm_solver, euler, flow_match, lcm
from mezzotint.inference.sampling.plan import Plan
from mezzotint.inference.sampling.scheduler_config import STEPS_MAX, SchedulerConfig


class Sampler(StrEnum):
    """A method, by the contract's name for it."""

    FLOW_MATCH_EULER = "flow_match_euler"
    EULER = "euler"
    EULER_ANCESTRAL = "euler_ancestral"
    DPMPP_2M = "dpmpp_2m"
    DDIM = "ddim"
    LCM = "lcm"


# Of a model with a config, `steps` steps and `tokens` image tokens.
Planner = Callable[[SchedulerConfig, int, int], Plan]
FLOW: dict[Sampler, Planner] = {
    Sampler.FLOW_MATCH_EULER: flow_match.euler,
    Sampler.DPMPP_2M: dpm_solver.dpm_solver,
    Sampler.LCM: flow_match.consistency,
}
DIFFUSION: dict[Sampler, Planner] = {
    Sampler.EULER: lambda config, steps, tokens: euler.euler(config, steps),
    Sampler.EULER_ANCESTRAL: lambda config, steps, tokens: euler.ancestral(config, steps),
    Sampler.DPMPP_2M: dpm_solver.dpm_solver,
    Sampler.DDIM: lambda config, steps, tokens: ddim.ddim(config, steps),
    Sampler.LCM: lambda config, steps, tokens: lcm.lcm(config, steps),
}
# PNDM, whose file Stable Diffusion 1.x comes with, is not among them: a multistep method of the same order takes its place.
CLASSES = {
    "FlowMatchEulerDiscreteScheduler": Sampler.FLOW_MATCH_EULER,
    "EulerDiscreteScheduler": Sampler.EULER,
    "EulerAncestralDiscreteScheduler": Sampler.EULER_ANCESTRAL,
    "DPMSolverMultistepScheduler": Sampler.DPMPP_2M,
    "DDIMScheduler": Sampler.DDIM,
    "LCMScheduler": Sampler.LCM,
    "PNDMScheduler": Sampler.DPMPP_2M,
}


def samplers_of(config: SchedulerConfig) -> tuple[Sampler, ...]:
    """The methods that fit what the model predicts; its own is the first."""
    own = Sampler.LCM if config.stochastic_sampling else CLASSES[config.class_name]
    return (own, *(sampler for sampler in (FLOW if config.is_flow else DIFFUSION) if sampler != own))


def steps_max_of(config: SchedulerConfig, sampler: Sampler) -> int:
    """The most steps a method can make with a model."""
    few = sampler == Sampler.LCM and not config.is_flow
    return min(config.original_inference_steps, STEPS_MAX) if few else STEPS_MAX


@lru_cache(maxsize=4096)
def plan_of(config: SchedulerConfig, sampler: Sampler, steps: int, tokens: int, left_out: int = 0) -> Plan:
    """The plan of one of `samplers_of` for a picture of `tokens` image tokens, of 2 × 2 latent cells each.

    `left_out` of its `steps` steps, the first ones, are not made.
    """
    plan = (FLOW if config.is_flow else DIFFUSION)[sampler](config, steps, tokens)
    return plan.without(left_out) if left_out else plan


def left_out(config: SchedulerConfig, steps: int, strength: float) -> int:
    """How many of `steps` steps are not made of a picture that begins from another: all but the part `strength`, one at least.

    As `get_timesteps` of the image-to-image pipelines of diffusers: flow matching makes a whole step of the last part of one,
    diffusion none.
    """
    made = round(steps * strength, 3)
    return steps - max(1, math.ceil(made) if config.is_flow else math.floor(made))
