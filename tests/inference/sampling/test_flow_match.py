"""The noise levels of flow matching."""

import math

import numpy as np
import pytest

from mezzotint.inference.sampling.flow_match import schedule, shift_of
from tests.inference.sampling.configs import config_of

FLOW_MATCH = "FlowMatchEulerDiscreteScheduler"


def test_schedule_without_shift_is_even() -> None:
    """The noise levels go from 1 by equal steps to a thousandth, then to 0, as diffusers' scheduler has them."""
    even = config_of(FLOW_MATCH)
    np.testing.assert_allclose(schedule(even, 4, 64), [1.0, 0.667, 0.334, 0.001, 0.0], atol=1e-6)
    np.testing.assert_allclose(schedule(even, 1, 64), [1.0, 0.0])


def test_schedule_with_shift_is_that_of_diffusers() -> None:
    """The numbers of FlowMatchEulerDiscreteScheduler(shift=3).set_timesteps(4), worked out by its formula."""
    least = 3 * 0.001 / 1.002
    linear = [1 - i * (1 - least) / 3 for i in range(4)]
    expected = [3 * s / (1 + 2 * s) for s in linear] + [0.0]
    np.testing.assert_allclose(schedule(config_of(FLOW_MATCH, shift=3.0), 4, 64), expected, rtol=1e-6)


@pytest.mark.parametrize(("tokens", "mu"), [(256, 0.5), (4096, 1.15), (2176, 0.825)])
def test_dynamic_shifting_goes_by_the_size_of_the_picture(tokens: int, mu: float) -> None:
    """The shift grows from `base_shift` to `max_shift` with the image tokens, exponentially or as it is."""
    assert shift_of(config_of(FLOW_MATCH, use_dynamic_shifting=True), tokens) == pytest.approx(math.exp(mu))
    linear = config_of(FLOW_MATCH, use_dynamic_shifting=True, time_shift_type="linear")
    assert shift_of(linear, tokens) == pytest.approx(mu)
