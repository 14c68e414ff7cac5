"""What the shipped model draws: measured on the pixels, through ONNX Runtime alone.

The loop here is written out from the contract, so that a mistake in the training code's own sampler
cannot hide one in the graphs.
"""

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from training.aquatint.locations import MODEL_DIR

if TYPE_CHECKING:
    from training.aquatint.bundle_sampler import BundleSampler

SEEDS = (1, 2, 3)
FACTS = json.loads((MODEL_DIR / "model_index.json").read_text())["_mezzotint"]
STEPS, GUIDANCE = FACTS["steps_default"], FACTS["guidance_default"]
RED, GREEN, BLUE, ALPHA = range(4)
OPAQUE = 128

Picture = NDArray[np.uint8]


def draw(sampler: "BundleSampler", prompt: str) -> Picture:
    """Return (3, 256, 256, 4): the prompt drawn from each of ``SEEDS``."""
    words, pooled = sampler.encode([prompt, ""])
    count = len(SEEDS)
    feed = {
        "encoder_hidden_states": np.repeat(words, count, axis=0),
        "text_embeds": np.repeat(pooled, count, axis=0),
    }
    noises = [np.random.default_rng(seed).standard_normal((4, 32, 32), dtype=np.float32) for seed in SEEDS]
    sample = np.stack(noises)
    sigmas = schedule()
    for step in range(STEPS):
        feed["sample"] = np.concatenate([sample, sample])
        feed["timestep"] = np.full(2 * count, sigmas[step] * 1000, dtype=np.float32)
        asked, free = np.split(sampler.unet.run(["out_sample"], feed)[0], 2)
        velocity = free + GUIDANCE * (asked - free)
        sample = (sample + (sigmas[step + 1] - sigmas[step]) * velocity).astype(np.float32)
    return sampler.decode(sample)


def schedule() -> NDArray[np.float64]:
    """Return the sigmas (STEPS + 1,) of diffusers' FlowMatchEulerDiscreteScheduler with the bundle's shift."""
    config = json.loads((MODEL_DIR / "scheduler" / "scheduler_config.json").read_text())
    shift = config["shift"]

    def shifted(sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = shift * sigmas / (1 + (shift - 1) * sigmas)
        return result

    least = shifted(np.array([1 / config["num_train_timesteps"]]))[0]
    return np.append(shifted(np.linspace(1, least, STEPS)), 0)


@pytest.fixture(scope="module")
def hearts(sampler: "BundleSampler") -> dict[str, Picture]:
    return {colour: draw(sampler, f"{colour} heart") for colour in ("red", "blue", "green")}


def opaque_pixels(pictures: Picture) -> NDArray[np.float64]:
    """Return the colours (N, 3) of what is drawn."""
    return pictures[pictures[..., ALPHA] >= OPAQUE][:, :3].astype(np.float64)


@pytest.mark.parametrize(("colour", "channel"), [("red", RED), ("green", GREEN), ("blue", BLUE)])
def test_a_heart_has_the_colour_that_was_asked_for(hearts: dict[str, Picture], colour: str, channel: int) -> None:
    pixels = opaque_pixels(hearts[colour])
    strongest = (pixels.argmax(axis=1) == channel).mean()
    assert strongest > 0.75, f"{colour} is the strongest channel in {strongest:.0%} of the drawn pixels"
    others = np.delete(pixels.mean(axis=0), channel)
    assert pixels.mean(axis=0)[channel] > others.max() + 40


def test_something_is_drawn_and_something_left_open(hearts: dict[str, Picture]) -> None:
    for colour, pictures in hearts.items():
        covered = (pictures[..., ALPHA] >= OPAQUE).mean(axis=(1, 2))
        assert (covered > 0.2).all(), f"{colour}: {covered}"
        assert (covered < 0.9).all(), f"{colour}: {covered}"


def test_hearts_are_wide_above_and_pointed_below(hearts: dict[str, Picture]) -> None:
    ratios = [tapering(picture) for pictures in hearts.values() for picture in pictures]
    assert np.median(ratios) > 2, f"width above / width below: {np.round(ratios, 1)}"


def tapering(picture: Picture) -> float:
    """Return how much wider the drawn shape is at 30 % of its height than at 92 %."""
    solid = picture[..., ALPHA] >= OPAQUE
    rows = np.flatnonzero(solid.any(axis=1))
    top, height = rows[0], rows[-1] - rows[0]
    above, below = (solid[top + int(height * part)].sum() for part in (0.30, 0.92))
    return float(above / max(below, 1))


def test_the_prompt_and_the_seed_decide(hearts: dict[str, Picture], sampler: "BundleSampler") -> None:
    again = draw(sampler, "red heart")
    np.testing.assert_array_equal(again, hearts["red"])
    assert (hearts["red"][0] != hearts["red"][1]).any()


def test_edges_are_clean(hearts: dict[str, Picture]) -> None:
    """Most pixels are wholly there or wholly not: no haze around what is drawn."""
    for pictures in hearts.values():
        alpha = pictures[..., ALPHA]
        assert ((alpha > 8) & (alpha < 247)).mean() < 0.12
