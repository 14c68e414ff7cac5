"""Pictures in the slots of one model: joining, leaving, and being put aside for others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.inference.lane import Lane, Picture
from mezzotint.inference.noise import noise
from mezzotint.inference.onnx_engine import OnnxEngine
from mezzotint.inference.sampling.sampler import Sampler


def picture_of(engine: OnnxEngine, seed: int, steps: int) -> Picture:
    """A picture of the tiny model without guidance."""
    prompt, negative = engine.embed([f"picture {seed}", ""])
    return Picture(noise(seed, engine.card.latent), seed, Sampler.DPMPP_2M, steps, 1.0, prompt, negative)


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(2, 6), leaves=st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_picture_put_aside_ends_as_if_it_had_stayed(engine: OnnxEngine, steps: int, leaves: list[bool]) -> None:
    """However often a picture leaves its slot to another one and comes back in another slot, no bit of it differs."""
    picture, other = picture_of(engine, 3, steps), picture_of(engine, 4, 100)
    undisturbed = Lane(engine, 1)
    undisturbed.join(0, picture)
    expected = [undisturbed.step([0]) for _ in range(steps)][-1].finished[0]

    lane, slot = Lane(engine, 2), 0
    lane.join(slot, picture)
    finished = {}
    for leave in leaves[:steps]:
        if leave:
            aside = lane.put_aside(slot)
            lane.join(slot, other)
            lane.step([slot])
            slot = 1 - slot
            lane.take_up(slot, aside)
        finished = lane.step([slot]).finished
    np.testing.assert_array_equal(finished[slot], expected)
