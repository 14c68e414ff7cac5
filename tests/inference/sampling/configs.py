"""Scheduler files that tests share."""

from typing import Any

from mezzotint.inference.sampling.scheduler_config import SchedulerConfig, options_of

STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def config_of(class_name: str, **options: Any) -> SchedulerConfig:
    """A config as it is read from a file."""
    return SchedulerConfig.model_validate(options_of({"_class_name": class_name, **options}))


FLOW = config_of("FlowMatchEulerDiscreteScheduler", shift=3.0)
EPSILON = config_of("DDIMScheduler", **STABLE, clip_sample=False, steps_offset=1)
VELOCITY = config_of("EulerDiscreteScheduler", **STABLE, prediction_type="v_prediction")
DATA = config_of("DPMSolverMultistepScheduler", **STABLE, prediction_type="sample", solver_type="heun")
CONFIGS = (FLOW, EPSILON, VELOCITY, DATA)
