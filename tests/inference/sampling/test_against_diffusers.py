"""Every method, step by step, against the scheduler of the diffusers library that it is named after."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the comparison needs diffusers; install mezzotint[export]")

import diffusers  # after the skip
import torch  # after the skip

from mezzotint.inference.sampling.plan import Floats
from mezzotint.inference.sampling.sampler import Sampler, plan_of
from mezzotint.inference.sampling.trajectories import Trajectories
from tests.inference.sampling.configs import STABLE as STABLE_DIFFUSION
from tests.inference.sampling.configs import config_of

# diffusers hands numpy tensors, whose conversion is of an older protocol.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (4, 6, 6)
TOKENS = 1024
Case = tuple[str, dict[str, Any]]
# The greatest error of a step in any of its numbers, relative to the greatest number. Measured: 9e-5 with Euler, ancestral and
# DPM-Solver, whose tables diffusers has in 32 bits; 9e-6 with DDIM and LCM, 4e-7 with flow matching.
TOLERANCE = 1e-4
STEPS = [1, 2, 4, 9, 20, 50]
STABLE = STABLE_DIFFUSION | {"clip_sample": False}
ZERO_SNR = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}

EULER, ANCESTRAL = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
DPM, DDIM, LCM = "DPMSolverMultistepScheduler", "DDIMScheduler", "LCMScheduler"
FLOW_EULER = "FlowMatchEulerDiscreteScheduler"
SAMPLERS = {
    EULER: Sampler.EULER,
    ANCESTRAL: Sampler.EULER_ANCESTRAL,
    DPM: Sampler.DPMPP_2M,
    DDIM: Sampler.DDIM,
    LCM: Sampler.LCM,
    FLOW_EULER: Sampler.FLOW_MATCH_EULER,
}


def cases() -> Iterator[Case]:
    """Classes with options: what models are published with, and every option that is implemented."""
    for name in (EULER, ANCESTRAL, DPM, DDIM, LCM):
        yield name, {}
        yield name, STABLE
        yield name, STABLE | {"prediction_type": "v_prediction"}
        yield name, STABLE | ZERO_SNR
        yield name, {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 400}
    for name in (EULER, ANCESTRAL, DPM, DDIM):
        for spacing in ("leading", "trailing", "linspace"):
            yield name, STABLE | {"timestep_spacing": spacing, "steps_offset": 1}
    for name in (EULER, DPM, DDIM, LCM):
        yield name, STABLE | {"prediction_type": "sample"}
    for name in (EULER, DPM):
        yield name, STABLE | {"use_karras_sigmas": True}
        yield name, STABLE | {"use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1}
        yield name, STABLE | {"final_sigmas_type": "sigma_min"}
    for name in (DDIM, LCM):
        yield name, STABLE | {"clip_sample": True, "clip_sample_range": 1.5}
        yield name, STABLE | {"set_alpha_to_one": False}
    yield LCM, {"timestep_scaling": 2.0, "original_inference_steps": 100}
    yield DPM, STABLE | {"solver_type": "heun"}
    yield DPM, STABLE | {"solver_type": "heun", "final_sigmas_type": "sigma_min", "lower_order_final": False}
    yield DPM, STABLE | {"euler_at_final": True, "final_sigmas_type": "sigma_min"}
    yield DPM, {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True}
    yield DPM, FLOW | {"flow_shift": 3.0}
    yield DPM, FLOW | {"solver_type": "heun"}
    yield FLOW_EULER, {}
    yield FLOW_EULER, {"shift": 3.0}
    yield FLOW_EULER, {"shift": 3.0, "stochastic_sampling": True}
    yield FLOW_EULER, {"use_dynamic_shifting": True}
    yield FLOW_EULER, {"use_dynamic_shifting": True, "time_shift_type": "linear", "base_shift": 0.7, "max_shift": 2.0}


def name_of(case: Case) -> str:
    return "-".join([case[0].removesuffix("Scheduler"), *(f"{key}={value}" for key, value in case[1].items())])


def theirs_of(name: str, options: dict[str, Any], steps: int) -> Any:
    """The scheduler of diffusers, ready to step."""
    scheduler = getattr(diffusers, name).from_config(options)
    if options.get("use_dynamic_shifting"):
        low, high = options.get("base_shift", 0.5), options.get("max_shift", 1.15)
        scheduler.set_timesteps(steps, mu=low + (high - low) * (TOKENS - 256) / (4096 - 256))
    else:
        scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        # Else it begins at the second of two equal timesteps.
        scheduler.set_begin_index(0)
    return scheduler


class Made:
    """The noise and the model's output of a step, the same however often they are asked for before `next`."""

    def __init__(self) -> None:
        self._step = 0

    def next(self) -> None:
        self._step += 1

    def noise(self) -> Floats:
        return np.random.default_rng(2 * self._step).standard_normal(SHAPE, np.float32)

    def output(self) -> Floats:
        return np.random.default_rng(2 * self._step + 1).standard_normal(SHAPE, np.float32)


def far(ours: Floats, theirs: Floats, beside: Floats) -> float:
    """The greatest difference, relative to the greatest number of theirs or of what they were made from."""
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.abs(beside).max()))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("case", list(cases()), ids=name_of)
def test_each_step_is_that_of_diffusers(case: Case, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timesteps, what the model is shown and every step on random outputs agree, with the same noise given to both."""
    (name, options), made = case, Made()
    theirs, config = theirs_of(name, options, steps), config_of(name, **options)
    sampler = Sampler.LCM if options.get("stochastic_sampling") else SAMPLERS[name]
    state = Trajectories(2, SHAPE, STEPS[-1], draw=lambda seed, shape, draw: made.noise())
    monkeypatch.setattr(sys.modules[type(theirs).__module__], "randn_tensor", lambda *_, **__: torch.from_numpy(made.noise()))
    state.join(1, made.noise(), plan_of(config, sampler, steps, TOKENS), seed=7)
    sample = torch.from_numpy(made.noise()) * float(getattr(theirs, "init_noise_sigma", 1.0))
    # diffusers cuts some timesteps to whole ones; here they are what the noise level says, or the nearest whole one.
    # Noise 4096 times the signal, in 32 bits, leaves diffusers' first step that much less exact.
    tolerance = 3 * TOLERANCE if config.rescale_betas_zero_snr else TOLERANCE
    exact = not (name == DPM and (config.is_flow or config.use_karras_sigmas))
    for step, timestep in enumerate(theirs.timesteps):
        made.next()
        shown, asked = state.inputs([1])
        scaled = theirs.scale_model_input(sample, timestep) if hasattr(theirs, "scale_model_input") else sample
        assert far(shown[0], scaled.numpy(), scaled.numpy()) < tolerance
        assert abs(float(asked[0]) - float(timestep)) < (0.02 if exact else 1.001)
        after = theirs.step(torch.from_numpy(made.output()), timestep, sample, return_dict=False)[0]
        state.advance([1], made.output()[None])
        assert far(state.latents(1), after.numpy(), sample.numpy()) < tolerance, step
        sample = after
    assert len(theirs.timesteps) == steps
