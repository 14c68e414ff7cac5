"""The scheduler_config.json of a model in the diffusers layout: how it was trained, and how it is drawn by default."""

import math
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mezzotint.inference.sampling.beta_schedule import BetaSchedule, betas
from mezzotint.inference.sampling.prediction import Prediction

Spacing = Literal["leading", "trailing", "linspace"]
# The most denoising steps of a request: the contract's bound on GenerationSpec.steps.
STEPS_MAX = 100
FLOW_MATCH, DPM_SOLVER = "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler"
SHIFT_MIN, SHIFT_MAX = 0.01, 100.0
# With less of the signal's power left at the last timestep, data cannot be told from noise in 32 bits.
POWER_MIN = 1e-12
# What each class of diffusers takes an option for when its file leaves it out, where that is not the same for all.
PIXELS: dict[str, Any] = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
LATENTS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
DEFAULTS: dict[str, dict[str, Any]] = {
    FLOW_MATCH: {"prediction_type": "flow_prediction"},
    "EulerDiscreteScheduler": PIXELS,
    "EulerAncestralDiscreteScheduler": PIXELS,
    DPM_SOLVER: PIXELS,
    "DDIMScheduler": PIXELS | {"clip_sample": True},
    "LCMScheduler": LATENTS,
    "PNDMScheduler": PIXELS,
}
# Options that change the steps and are not implemented, and the values with which they change nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "algorithm_type": ("dpmsolver++", "deis"),
    "interpolation_type": ("linear",),
    "invert_sigmas": (False,),
    "lambda_min_clipped": (None, -math.inf),
    "shift_terminal": (None, 0),
    "sigma_max": (None,),
    "sigma_min": (None,),
    "solver_order": (2,),
    "thresholding": (False,),
    "timestep_type": ("discrete",),
    "trained_betas": (None,),
    "use_beta_sigmas": (None, False),
    "use_exponential_sigmas": (None, False),
    "use_lu_lambdas": (None, False),
    "variance_type": (None, "fixed_small", "fixed_large"),
}
FLOW_NEUTRAL: dict[str, tuple[Any, ...]] = {"use_karras_sigmas": (None, False), "final_sigmas_type": ("zero",)}


class SchedulerConfig(BaseModel):
    """The options that are implemented, by their names in diffusers. Options for one method mean nothing to the others."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    class_name: str
    num_train_timesteps: int = Field(default=1000, ge=STEPS_MAX + 1, le=1000)
    prediction_type: Prediction = "epsilon"
    # Diffusion.
    beta_start: float = Field(default=PIXELS["beta_start"], gt=0, lt=1)
    beta_end: float = Field(default=PIXELS["beta_end"], gt=0, lt=1)
    beta_schedule: BetaSchedule = "linear"
    rescale_betas_zero_snr: bool = False
    # None: "leading" for DDIM, "linspace" for the others, as in diffusers.
    timestep_spacing: Spacing | None = None
    steps_offset: int = Field(default=0, ge=0, le=1)
    clip_sample: bool = False
    clip_sample_range: float = Field(default=1.0, gt=0)
    set_alpha_to_one: bool = True
    use_karras_sigmas: bool | None = False
    final_sigmas_type: Literal["zero", "sigma_min"] = "zero"
    solver_type: Literal["midpoint", "heun"] = "midpoint"
    lower_order_final: bool = True
    euler_at_final: bool = False
    original_inference_steps: int = Field(default=50, ge=1, le=1000)
    timestep_scaling: float = Field(default=10.0, gt=0, le=1000)
    # Flow matching.
    shift: float = Field(default=1.0, ge=SHIFT_MIN, le=SHIFT_MAX)
    stochastic_sampling: bool = False
    use_dynamic_shifting: bool = False
    base_shift: float = Field(default=0.5, gt=-10, le=10)
    max_shift: float = Field(default=1.15, gt=-10, le=10)
    base_image_seq_len: int = Field(default=256, ge=1)
    max_image_seq_len: int = Field(default=4096, ge=1)
    time_shift_type: Literal["exponential", "linear"] = "exponential"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.is_flow != (self.class_name == FLOW_MATCH) and self.class_name != DPM_SOLVER:
            raise ValueError(f"prediction_type {self.prediction_type} does not fit {self.class_name}")
        if self.beta_start > self.beta_end:
            raise ValueError(f"beta_start {self.beta_start} is more than beta_end {self.beta_end}")
        left = np.prod(1 - betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end))
        if left < POWER_MIN:
            raise ValueError(f"beta_start and beta_end leave {left:.0e} of the signal, {POWER_MIN:.0e} at least must be left")
        if self.rescale_betas_zero_snr and self.prediction_type == "epsilon":
            raise ValueError(
                "rescale_betas_zero_snr makes the last timestep pure noise, from which a model of epsilon cannot begin"
            )
        if self.original_inference_steps > self.num_train_timesteps:
            raise ValueError(f"original_inference_steps {self.original_inference_steps} are more than num_train_timesteps")
        if self.base_image_seq_len >= self.max_image_seq_len:
            raise ValueError(f"base_image_seq_len {self.base_image_seq_len} is not below max_image_seq_len")
        return self

    @property
    def is_flow(self) -> bool:
        """Whether the model predicts the velocity of flow matching."""
        return self.prediction_type == "flow_prediction"

    @property
    def data_bound(self) -> float:
        """What predicted data is clipped to, where a method clips."""
        return self.clip_sample_range if self.clip_sample else math.inf


def options_of(file: dict[str, Any]) -> dict[str, Any]:
    """What SchedulerConfig is made from: a file's options with what its class takes for those it leaves out.

    Raises ValueError with a sentence that names an option which cannot be served.
    """
    name = file.get("_class_name")
    if name not in DEFAULTS:
        raise ValueError(f"_class_name is {name!r}; what can be served is {', '.join(DEFAULTS)}")
    options = DEFAULTS[name] | {option: value for option, value in file.items() if value is not None} | {"class_name": name}
    is_flow = options.get("prediction_type") == "flow_prediction"
    if name == DPM_SOLVER:
        options["shift"] = file.get("flow_shift", 1.0)
    for option, values in (NEUTRAL | FLOW_NEUTRAL if is_flow else NEUTRAL).items():
        if option in file and file[option] not in values:
            raise ValueError(f"{option} is {file[option]!r}; this option cannot be served, leave it out")
    if name != FLOW_MATCH and bool(file.get("use_flow_sigmas")) != is_flow:
        raise ValueError(f"use_flow_sigmas is {file.get('use_flow_sigmas')!r}, which does not fit the prediction_type")
    return options
