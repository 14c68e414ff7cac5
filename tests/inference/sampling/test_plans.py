"""Plans of any model that is not refused."""

import math
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mezzotint.inference.sampling.plan import COLUMN
from mezzotint.inference.sampling.sampler import plan_of, samplers_of, steps_max_of
from mezzotint.inference.sampling.scheduler_config import DEFAULTS
from tests.inference.sampling.configs import config_of

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "num_train_timesteps": st.integers(101, 1000),
        "prediction_type": st.sampled_from(["epsilon", "v_prediction", "sample"]),
        "beta_start": st.floats(1e-6, 0.1),
        "beta_end": st.floats(1e-6, 0.5),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "squaredcos_cap_v2"]),
        "rescale_betas_zero_snr": st.booleans(),
        "timestep_spacing": st.sampled_from(["leading", "trailing", "linspace"]),
        "steps_offset": st.integers(0, 1),
        "set_alpha_to_one": st.booleans(),
        "use_karras_sigmas": st.booleans(),
        "final_sigmas_type": st.sampled_from(["zero", "sigma_min"]),
        "solver_type": st.sampled_from(["midpoint", "heun"]),
        "lower_order_final": st.booleans(),
        "original_inference_steps": st.integers(1, 1000),
        "timestep_scaling": st.floats(0.1, 1000),
    },
)
FLOW_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "num_train_timesteps": st.integers(101, 1000),
        "shift": st.floats(0.01, 100),
        "use_dynamic_shifting": st.booleans(),
        "base_shift": st.floats(-9, 9),
        "max_shift": st.floats(-9, 9),
        "time_shift_type": st.sampled_from(["exponential", "linear"]),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(DEFAULTS)), OPTIONS, FLOW_OPTIONS, st.integers(1, 100), st.integers(1, 16384))
def test_every_plan_of_a_model_that_is_served_can_be_followed(
    name: str, options: dict[str, Any], flow: dict[str, Any], steps: int, tokens: int
) -> None:
    """Whatever options a file combines, it is refused, or its plans have the steps asked for and weights that are numbers."""
    try:
        config = config_of(name, **(flow if name.startswith("FlowMatch") else options))
    except ValueError:
        assume(False)
        return
    for sampler in samplers_of(config):
        possible = min(steps, steps_max_of(config, sampler))
        plan = plan_of(config, sampler, possible, tokens)
        timesteps = plan.table[:, COLUMN["timesteps"]]
        assert len(timesteps) == possible
        assert np.all(np.diff(timesteps) <= 0)
        assert 0 <= timesteps[-1] <= timesteps[0] <= config.num_train_timesteps
        assert math.isfinite(plan.start)
