"""Scheduler files of published models are read as diffusers reads them; what is not implemented is refused by name."""

import json
import math
from typing import Any

import pytest

from mezzotint.inference.sampling.sampler import Sampler, samplers_of
from tests.inference.sampling.configs import config_of

DPM, FLOW_MATCH = "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
# As they lie in the folders of well-known models.
STABLE_1 = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
    "steps_offset": 1, "trained_betas": None,
}  # fmt: skip  # as it is published
STABLE_XL = {
    "_class_name": "EulerDiscreteScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
    "clip_sample": False, "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "epsilon",
    "sample_max_value": 1.0, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "timestep_spacing": "leading", "trained_betas": None, "use_karras_sigmas": False,
}  # fmt: skip  # as it is published
FLUX = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 4096,
    "max_shift": 1.15, "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True,
}  # fmt: skip  # as it is published
SANA = {
    "_class_name": DPM, "algorithm_type": "dpmsolver++", "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001,
    "dynamic_thresholding_ratio": 0.995, "euler_at_final": False, "final_sigmas_type": "zero", "flow_shift": 3.0,
    "lambda_min_clipped": -math.inf, "lower_order_final": True, "prediction_type": "flow_prediction", "solver_order": 2,
    "solver_type": "midpoint", "thresholding": False, "use_flow_sigmas": True, "use_lu_lambdas": False, "variance_type": None,
}  # fmt: skip  # as it is published
DIFFUSION = {Sampler.EULER, Sampler.EULER_ANCESTRAL, Sampler.DPMPP_2M, Sampler.DDIM, Sampler.LCM}
FLOW = {Sampler.FLOW_MATCH_EULER, Sampler.DPMPP_2M, Sampler.LCM}


@pytest.mark.parametrize(
    ("file", "own", "fitting"),
    [
        (STABLE_1, Sampler.DPMPP_2M, DIFFUSION),
        (STABLE_XL, Sampler.EULER, DIFFUSION),
        (FLUX, Sampler.FLOW_MATCH_EULER, FLOW),
        (SANA, Sampler.DPMPP_2M, FLOW),
    ],
)
def test_published_files_are_read(file: dict[str, Any], own: Sampler, fitting: set[Sampler]) -> None:
    """The model's own method is the first of those that fit what it predicts."""
    content = json.loads(json.dumps(file))
    samplers = samplers_of(config_of(content.pop("_class_name"), **content))
    assert samplers[0] == own
    assert set(samplers) == fitting
    assert len(samplers) == len(fitting)


def test_options_left_out_are_those_of_the_class() -> None:
    """As in diffusers, a class stands for the noise it supposes and for whether data is clipped."""
    assert config_of("LCMScheduler").beta_schedule == "scaled_linear"
    assert config_of(DPM).beta_end == 0.02
    assert config_of("DDIMScheduler").data_bound == 1.0
    assert config_of("EulerDiscreteScheduler").data_bound == math.inf
    assert config_of(DPM, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0).shift == 2.0


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("HeunDiscreteScheduler", {}, "_class_name"),
    (DPM, {"algorithm_type": "sde-dpmsolver++"}, "algorithm_type"),
    (DPM, {"solver_order": 3}, "solver_order"),
    (DPM, {"thresholding": True}, "thresholding"),
    (DPM, {"use_lu_lambdas": True}, "use_lu_lambdas"),
    (DPM, {"lambda_min_clipped": -5.1}, "lambda_min_clipped"),
    (DPM, {"variance_type": "learned"}, "variance_type"),
    (DPM, {"use_flow_sigmas": True}, "use_flow_sigmas"),
    (DPM, {"prediction_type": "flow_prediction"}, "use_flow_sigmas"),
    (DPM, {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "use_karras_sigmas": True}, "use_karras_sigmas"),
    ("EulerDiscreteScheduler", {"interpolation_type": "log_linear"}, "interpolation_type"),
    ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "timestep_type"),
    ("EulerDiscreteScheduler", {"use_beta_sigmas": True}, "use_beta_sigmas"),
    ("EulerDiscreteScheduler", {"use_exponential_sigmas": True}, "use_exponential_sigmas"),
    ("EulerDiscreteScheduler", {"sigma_max": 80.0}, "sigma_max"),
    ("EulerDiscreteScheduler", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
    ("EulerDiscreteScheduler", {"prediction_type": "flow_prediction"}, "use_flow_sigmas"),
    ("DDIMScheduler", {"trained_betas": [0.1, 0.2]}, "trained_betas"),
    ("DDIMScheduler", {"beta_start": 0.02, "beta_end": 0.01}, "beta_start"),
    ("DDIMScheduler", {"beta_schedule": "sigmoid"}, "beta_schedule"),
    ("DDIMScheduler", {"steps_offset": 2}, "steps_offset"),
    ("DDIMScheduler", {"timestep_spacing": "random"}, "timestep_spacing"),
    ("DDIMScheduler", {"num_train_timesteps": 100}, "num_train_timesteps"),
    ("DDIMScheduler", {"num_train_timesteps": 1001}, "num_train_timesteps"),
    ("DDIMScheduler", {"num_train_timesteps": "1000"}, "num_train_timesteps"),
    ("DDIMScheduler", {"clip_sample_range": math.nan}, "clip_sample_range"),
    ("LCMScheduler", {"original_inference_steps": 1000, "num_train_timesteps": 500}, "original_inference_steps"),
    (FLOW_MATCH, {"invert_sigmas": True}, "invert_sigmas"),
    (FLOW_MATCH, {"shift_terminal": 0.1}, "shift_terminal"),
    (FLOW_MATCH, {"use_karras_sigmas": True}, "use_karras_sigmas"),
    (FLOW_MATCH, {"prediction_type": "epsilon"}, "prediction_type"),
    (FLOW_MATCH, {"shift": math.inf}, "shift"),
    (FLOW_MATCH, {"max_image_seq_len": 256}, "base_image_seq_len"),
]


@pytest.mark.parametrize(("name", "options", "named"), REFUSED, ids=[f"{name}-{why}" for name, _, why in REFUSED])
def test_what_cannot_be_served_is_refused_by_name(name: str, options: dict[str, Any], named: str) -> None:
    """No option changes a picture silently: one that is not implemented, or wrong, is named in the error."""
    with pytest.raises(ValueError, match=named):
        config_of(name, **options)
