"""Euler's method on a sample that is data + sigma × noise, with and without fresh noise.

Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without churn; ancestral steps as in Katherine Crowson's k-diffusion. The
levels are those of `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler` in diffusers.
"""

import numpy as np

from mezzotint.inference.sampling import spacing
from mezzotint.inference.sampling.plan import Doubles, Plan
from mezzotint.inference.sampling.prediction import data_weights, noise_weights
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.training_noise import sigmas


def euler(config: SchedulerConfig, steps: int) -> Plan:
    """Straight steps from level to level."""
    timesteps, now = visited(config, steps)
    if config.use_karras_sigmas:
        now = spacing.karras(now[0], now[-1], steps)
        timesteps = spacing.timesteps_at(now, sigmas(config))
    last = sigmas(config)[0] if config.final_sigmas_type == "sigma_min" else 0.0
    return plan(config, timesteps, now, to=np.append(now[1:], last), noise=np.zeros(steps))


def ancestral(config: SchedulerConfig, steps: int) -> Plan:
    """Steps below each next level, and fresh noise back up to it."""
    timesteps, now = visited(config, steps)
    following = np.append(now[1:], 0.0)
    noise = np.sqrt(following**2 * (now**2 - following**2) / now**2)
    return plan(config, timesteps, now, to=np.sqrt(following**2 - noise**2), noise=noise)


def visited(config: SchedulerConfig, steps: int) -> tuple[Doubles, Doubles]:
    """The timesteps of a picture and their noise levels, each (steps,)."""
    trained = config.num_train_timesteps
    timesteps = spacing.spaced(config.timestep_spacing or "linspace", trained, steps, config.steps_offset)
    return timesteps, np.interp(timesteps, np.arange(trained), sigmas(config))


def plan(config: SchedulerConfig, timesteps: Doubles, now: Doubles, to: Doubles, noise: Doubles) -> Plan:
    """Steps from the levels `now` straight down `to` others, with `noise` added after each: all (steps,)."""
    signal = 1 / np.sqrt(now**2 + 1)
    data_sample, data_output = data_weights(config.prediction_type, signal, now * signal)
    noise_sample, noise_output = noise_weights(config.prediction_type, signal, now * signal)
    spacing_of = config.timestep_spacing or "linspace"
    return Plan(
        timesteps,
        scale=signal,
        data_sample=data_sample * signal,
        data_output=data_output,
        sample=1 + (to - now) * noise_sample * signal,
        output=(to - now) * noise_output,
        noise=noise,
        spread=now,
        start=float(now[0] if spacing_of in ("linspace", "trailing") else np.sqrt(now[0] ** 2 + 1)),
    )
