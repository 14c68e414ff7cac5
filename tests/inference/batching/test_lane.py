"""Pictures in the slots of one model: joining, leaving, and being put aside for others."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.inference.batching.lane import Lane, Picture
from mezzotint.inference.models.card import SCHEDULER
from mezzotint.inference.models.engine import Floats
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.sampling.noise import noise
from mezzotint.inference.sampling.sampler import FLOW, Sampler
from tests.inference.tiny_model import write_tiny_model


def picture_of(engine: OnnxEngine, seed: int, steps: int, sampler: Sampler) -> Picture:
    """A picture of the tiny model without guidance."""
    prompt, negative = engine.embed([f"picture {seed}", ""])
    return Picture(noise(seed, engine.card.latent), seed, sampler, steps, 1.0, prompt, negative)


@settings(max_examples=30, deadline=None)
@given(sampler=st.sampled_from(list(FLOW)), steps=st.integers(2, 6), leaves=st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_picture_put_aside_ends_as_if_it_had_stayed(
    engine: OnnxEngine, sampler: Sampler, steps: int, leaves: list[bool]
) -> None:
    """However often a picture leaves its slot to another one and comes back in another slot, no bit of it differs."""
    picture, other = picture_of(engine, 3, steps, sampler), picture_of(engine, 4, 50, Sampler.LCM)
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


def test_every_scheduler_draws_in_one_batch(tmp_path: Path) -> None:
    """Pictures of a diffusion model with different schedulers, steps and guidance get the latents they get alone."""
    folder = write_tiny_model(tmp_path / "tiny")
    (folder / SCHEDULER).write_text(json.dumps({"_class_name": "DDIMScheduler", "clip_sample": False}))
    engine = OnnxEngine(folder, threads=1, rows_max=4)
    prompt, negative = engine.embed(["red", ""])
    pictures = [
        Picture(noise(seed, engine.card.latent), seed, sampler, 3 + seed, 1.0 + seed % 2, prompt, negative, frozenset({2}))
        for seed, sampler in enumerate(engine.card.samplers)
    ]
    assert len(pictures) == 5
    together = drawn(Lane(engine, 5), pictures)
    for picture, latents in zip(pictures, together, strict=True):
        np.testing.assert_allclose(latents, drawn(Lane(engine, 1), [picture])[0], rtol=1e-3, atol=1e-3)


def drawn(lane: Lane, pictures: list[Picture]) -> list[Floats]:
    """The final latents of pictures that begin together; each shows a preview after its second step."""
    for slot, picture in enumerate(pictures):
        lane.join(slot, picture)
    finished: dict[int, Floats] = {}
    for step in range(1, max(picture.steps for picture in pictures) + 1):
        slots = [slot for slot, picture in enumerate(pictures) if picture.steps >= step]
        stepped = lane.step(slots)
        assert set(stepped.previews) == (set(slots) if step == 2 else set())
        finished |= stepped.finished
    return [finished[slot] for slot in range(len(pictures))]
