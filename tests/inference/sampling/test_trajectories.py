"""Pictures of different methods in one call: each goes its own way to the last bit, and ends where its model points."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.inference.sampling.noise import noise
from mezzotint.inference.sampling.plan import Floats, Plan
from mezzotint.inference.sampling.sampler import Sampler, plan_of, samplers_of, steps_max_of
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.trajectories import State, Trajectories
from tests.inference.sampling.configs import CONFIGS, DATA, EPSILON, FLOW, VELOCITY

SHAPE = (2, 3, 3)
SLOTS, STEPS = 5, 8
PAIRS = [(config, sampler) for config in CONFIGS for sampler in samplers_of(config)]


@dataclass
class Row:
    """A picture of a random batch: it joins at a call, and is put aside for one call before some of its steps."""

    config: SchedulerConfig
    sampler: Sampler
    steps: int
    seed: int
    joins: int
    leaves: frozenset[int]
    aside: State | None = None
    slot: int | None = None
    done: int = 0
    way: list[Floats] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return plan_of(self.config, self.sampler, self.steps, 64)


ROWS = st.builds(
    lambda pair, **others: Row(*pair, **others),
    st.sampled_from(PAIRS),
    steps=st.integers(1, STEPS),
    seed=st.integers(0, 2**53),
    joins=st.integers(0, 6),
    leaves=st.frozensets(st.integers(1, STEPS)),
)


def model(samples: Floats, timesteps: Floats) -> Floats:
    """Outputs that depend on place and time, row by row."""
    return np.asarray(np.sin(3 * samples) + timesteps[:, None, None, None] / 1000 * samples, np.float32)


def alone(row: Row) -> list[Floats]:
    """The latents after each step of a picture that has all to itself."""
    state, way = Trajectories(1, SHAPE, STEPS), []
    state.join(0, noise(row.seed, SHAPE), row.plan, row.seed)
    for _ in range(row.steps):
        state.advance([0], model(*state.inputs([0])))
        way.append(state.latents(0))
    return way


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=SLOTS))
def test_no_bit_of_a_row_depends_on_the_others(rows: list[Row]) -> None:
    """Whatever methods, models, steps, joins, leaves and slots a batch mixes, every row's latents are those it has alone."""
    state = Trajectories(SLOTS, SHAPE, STEPS)
    for call in range(6 + 2 * STEPS):
        if all(row.done == row.steps for row in rows):
            break
        moving = [row for row in rows if takes_part(row, call, rows, state)]
        slots = [row.slot for row in moving if row.slot is not None]
        if slots:
            state.advance(slots, model(*state.inputs(slots)), show=slots[::2])
        for row, slot in zip(moving, slots, strict=True):
            row.done += 1
            row.way.append(state.latents(slot))
            row.slot = None if row.done == row.steps else slot
    for row in rows:
        np.testing.assert_array_equal(row.way, alone(row))


def takes_part(row: Row, call: int, rows: list[Row], state: Trajectories) -> bool:
    """Whether a row is in a call, after it joined, left its slot or came back to the last free one."""
    if call < row.joins or row.done == row.steps:
        return False
    if row.slot is not None and row.done in row.leaves:
        row.leaves -= {row.done}
        row.aside, row.slot = state.take_out(row.slot), None
        return False
    if row.slot is None:
        row.slot = max(set(range(SLOTS)) - {other.slot for other in rows})
        if row.aside is None:
            state.join(row.slot, noise(row.seed, SHAPE), row.plan, row.seed)
        else:
            state.put_back(row.slot, row.plan, row.seed, row.aside)
    return True


@pytest.mark.parametrize(("config", "sampler"), PAIRS)
@pytest.mark.parametrize("steps", [1, 2, 5, 17, 50])
def test_every_method_ends_where_the_model_points(config: SchedulerConfig, sampler: Sampler, steps: int) -> None:
    """A model that points to one picture gets it, by way of samples with the right part of noise; all previews show it."""
    shape = (4, 16, 16)
    target = np.linspace(-1, 1, 1024, dtype=np.float32).reshape(shape)
    state, way = Trajectories(1, shape, steps), []
    state.join(0, noise(3, shape), plan_of(config, sampler, steps, 64), seed=3)
    for _ in range(steps):
        samples, timesteps = state.inputs([0])
        signal = signal_of(config, timesteps[0])
        spread = 1 - signal if config.is_flow else np.sqrt(1 - signal**2)
        way.append(np.asarray((samples - signal * target) / spread, np.float32))
        preview = state.advance([0], prediction(config, target, way[-1], signal, spread), show=[0])[0]
        np.testing.assert_allclose(preview, target, atol=2e-3)
    np.testing.assert_allclose(state.latents(0), target, atol=2e-3)
    if steps == 1:
        # Evenly spaced timesteps have their one step at the end without noise, as in diffusers.
        return
    if sampler in (Sampler.EULER_ANCESTRAL, Sampler.LCM):
        np.testing.assert_allclose([np.std(each) for each in way], 1, atol=0.1)
    else:
        np.testing.assert_allclose(way, [way[0]] * steps, atol=0.05)


def signal_of(config: SchedulerConfig, timestep: float) -> float:
    """How much of the data a sample that the model sees has at a timestep, by the definition of its noise."""
    if config.is_flow:
        return 1 - float(timestep) / 1000
    bars = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    sigma = np.interp(timestep, np.arange(1000), np.sqrt((1 - bars) / bars))
    return float(1 / np.sqrt(1 + sigma**2))


def prediction(config: SchedulerConfig, target: Floats, fresh: Floats, signal: float, spread: float) -> Floats:
    """What a model predicts of samples that are made of `target` and `fresh` noise."""
    outputs = {EPSILON: fresh, VELOCITY: signal * fresh - spread * target, FLOW: fresh - target}
    return np.asarray(outputs.get(config, target[None]), np.float32)


def test_a_row_that_overflows_spoils_no_other() -> None:
    """Infinite outputs in one row leave every bit of the rows beside it as it is."""
    state, clean = Trajectories(2, SHAPE, STEPS), Trajectories(2, SHAPE, STEPS)
    for each in (state, clean):
        each.join(0, noise(1, SHAPE), plan_of(DATA, Sampler.DPMPP_2M, 4, 64), seed=1)
        each.join(1, noise(2, SHAPE), plan_of(EPSILON, Sampler.EULER_ANCESTRAL, 4, 64), seed=2)
    for _ in range(4):
        output = model(*state.inputs([0, 1]))
        output[0] = np.inf
        state.advance([0, 1], output)
        clean.advance([1], model(*clean.inputs([1])))
    assert not np.isfinite(state.latents(0)).any()
    np.testing.assert_array_equal(state.latents(1), clean.latents(1))


def test_a_method_with_fresh_noise_is_decided_by_the_seed() -> None:
    """The same seed gives the same picture, another seed another one, and each step's noise differs from all others."""
    for config, sampler in ((EPSILON, Sampler.EULER_ANCESTRAL), (EPSILON, Sampler.LCM), (FLOW, Sampler.LCM)):
        ways = [alone(Row(config, sampler, 4, seed, 0, frozenset())) for seed in (5, 5, 6)]
        np.testing.assert_array_equal(ways[0], ways[1])
        assert not np.array_equal(ways[0][-1], ways[2][-1])


def test_each_step_has_noise_of_its_own() -> None:
    """Each but the last step of an ancestral picture draws the next numbers of its seed; no two draws are alike."""
    asked: list[tuple[int, int]] = []

    def draw(seed: int, shape: tuple[int, ...], number: int) -> Floats:
        asked.append((seed, number))
        return noise(seed, shape, number)

    state = Trajectories(2, SHAPE, STEPS, draw)
    state.join(1, noise(5, SHAPE), plan_of(EPSILON, Sampler.EULER_ANCESTRAL, 4, 64), seed=5)
    for _ in range(4):
        state.advance([1], model(*state.inputs([1])))
    assert asked == [(5, 1), (5, 2), (5, 3)]
    draws = [noise(5, SHAPE, number).tobytes() for number in range(100)]
    assert len(set(draws)) == 100


def test_a_model_distilled_to_few_steps_takes_no_more() -> None:
    """LCM visits a part of the steps its model was distilled with, so it has no more than those."""
    assert steps_max_of(EPSILON, Sampler.LCM) == 50
    assert steps_max_of(EPSILON, Sampler.EULER) == steps_max_of(FLOW, Sampler.LCM) == 100
