"""Vectorised Euler steps against a plain loop for one picture."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from mezzotint.inference.flow_match import FlowMatch, schedule

SHAPE = (2, 3, 3)
Floats = npt.NDArray[np.float32]


def velocity(sample: Floats, timestep: float) -> Floats:
    """Some field that depends on place and time."""
    field: Floats = np.sin(3 * sample) + np.float32(timestep / 1000) * sample
    return field


def plain(noise: Floats, steps: int, shift: float) -> Floats:
    """The textbook loop: one picture, one step after another."""
    sample = noise.copy()
    sigmas = schedule(steps, shift)
    for now, following in pairwise(sigmas):
        sample = sample + (following - now) * velocity(sample, float(now * np.float32(1000)))
    return sample


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 10), st.integers(0, 2**32)), min_size=1, max_size=6),
    st.sampled_from([0.5, 1.0, 3.0]),
)
def test_rows_at_different_steps_move_as_if_alone(pictures: list[tuple[int, int, int]], shift: float) -> None:
    """Pictures that join at different calls, with different numbers of steps, end where the plain loop takes each of them."""
    state = FlowMatch(len(pictures), SHAPE, 12, shift)
    noises = [np.random.default_rng(seed).standard_normal(SHAPE, np.float32) for _, _, seed in pictures]
    done = dict.fromkeys(range(len(pictures)), 0)
    for call in range(30):
        running = [slot for slot, (steps, joins, _) in enumerate(pictures) if joins <= call and done[slot] < steps]
        for slot in running:
            if done[slot] == 0:
                state.join(slot, noises[slot], pictures[slot][0])
            done[slot] += 1
        if running:
            samples, timesteps = state.inputs(running)
            moves = [velocity(sample, float(timestep)) for sample, timestep in zip(samples, timesteps, strict=True)]
            state.advance(running, np.stack(moves))
    for slot, (steps, _, _) in enumerate(pictures):
        assert done[slot] == steps
        np.testing.assert_allclose(state.latents(slot), plain(noises[slot], steps, shift), rtol=1e-5, atol=1e-5)


def test_schedule_without_shift_is_even() -> None:
    """The noise levels go from 1 by equal steps to a thousandth, then to 0, as diffusers' scheduler has them."""
    np.testing.assert_allclose(schedule(4, 1.0), [1.0, 0.667, 0.334, 0.001, 0.0], atol=1e-6)
    np.testing.assert_allclose(schedule(1, 1.0), [1.0, 0.0])


def test_schedule_with_shift_is_that_of_diffusers() -> None:
    """The numbers of FlowMatchEulerDiscreteScheduler(shift=3).set_timesteps(4), worked out by its formula."""
    least = 3 * 0.001 / 1.002
    linear = [1 - i * (1 - least) / 3 for i in range(4)]
    np.testing.assert_allclose(schedule(4, 3.0), [3 * s / (1 + 2 * s) for s in linear] + [0.0], rtol=1e-6)


def test_estimate_is_the_end_when_the_velocity_holds() -> None:
    """With a straight path the estimate after one step is the picture at the end of all steps."""
    noise, target = np.ones(SHAPE, np.float32), np.full(SHAPE, -0.5, np.float32)
    state = FlowMatch(1, SHAPE, 5, 1.0)
    state.join(0, noise, 5)
    state.advance([0], (noise - target)[None])
    np.testing.assert_allclose(state.estimate(0, noise - target), target, atol=1e-6)
