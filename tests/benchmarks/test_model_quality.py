"""The figures about the bundled model's pictures, on a handful of them: structure and sanity, no timings."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.model_quality.__main__ import Plan, measure
from benchmarks.model_quality.judging import Judge, shrink
from benchmarks.model_quality.measures import apart, flatness, nearness, training_pictures
from benchmarks.model_quality.prompts import COLOUR_TRIES, COMPOSITES, label_prompts
from training.aquatint.captions import RECORDS_FILE
from training.aquatint.locations import BASE_FILE, MODEL_DIR
from training.aquatint.naming import Names
from training.aquatint.palette import COLOUR_NAMES
from training.aquatint.records import FLAT, SOLID, PictureRecord, record_to_json

TINY = Plan(labels=12, colours=5, styles=8, composites=2, seeds=2, timings=1)
SHARES = (
    "label_top1", "label_top5", "label_top5_8_steps", "colour_transfer", "colour_and_label_top5", "flat_is_flatter",
    "flat_label_top5", "judge_top1", "judge_top5",
)  # fmt: skip


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    return measure(MODEL_DIR, None, TINY)


def test_every_promised_figure_is_there(figures: dict[str, float]) -> None:
    """Ensures that a reduced run ends well and leaves nothing out, and that shares are shares."""
    promised = {*SHARES, "seconds_per_image_b1", "seconds_per_image_b8", "graphs_mb", "flatness_solid", "flatness_flat"}
    promised |= {"seeds_apart_mean", "seeds_apart_min", "prompts_apart_mean"}
    assert promised <= figures.keys()
    assert all(0 <= figures[name] <= 1 for name in SHARES)
    assert figures["graphs_mb"] == pytest.approx(sum(figures[f"{name}_mb"] for name in ("text_encoder", "unet", "vae_decoder")))


def test_the_bundled_model_draws_what_it_is_asked(figures: dict[str, float]) -> None:
    """Ensures that weights which have come apart from their tokenizer, or from their sampler, do not pass unseen."""
    assert figures["label_top5"] >= 0.7
    assert figures["colour_transfer"] >= 0.6
    assert figures["flat_label_top5"] >= 0.7
    assert figures["graphs_mb"] <= 40


def test_seeds_differ_less_than_prompts(figures: dict[str, float]) -> None:
    """Ensures that a seed changes the picture, and the words change it more."""
    assert 0 < figures["seeds_apart_min"] <= figures["seeds_apart_mean"] < figures["prompts_apart_mean"]


def test_a_copy_of_a_training_picture_is_found(tmp_path: Path) -> None:
    """Ensures that nearness is zero for a copy, counts one style's pictures only, and is left out where there are none."""
    views = np.random.default_rng(1).integers(0, 256, (3, 6, 32, 32, 4), dtype=np.uint8)
    np.save(tmp_path / BASE_FILE, views)
    called = (("owl", SOLID), ("owl", FLAT), ("cat", SOLID))
    records = [PictureRecord("", "", Names(label), "animal", style=style) for label, style in called]
    (tmp_path / RECORDS_FILE).write_text("\n".join(map(record_to_json, records)) + "\n")
    solid = training_pictures(tmp_path, SOLID)
    assert list(solid) == ["owl", "cat"]
    assert list(training_pictures(tmp_path, FLAT)) == ["owl"]
    real = np.stack(list(solid.values()))
    copied = nearness(shrink(views[2:, 0], 32), real)
    other = nearness(shrink(views[1:2, 0], 32), real)
    assert copied["nearest_training_min"] == pytest.approx(0, abs=1e-3)
    assert other["nearest_training_min"] > 0.2
    assert copied["training_nearest_median"] > 0.2
    assert training_pictures(None, SOLID) == {}


def test_the_prompts_are_fixed_and_their_things_are_known() -> None:
    """Ensures that two runs ask the same, of labels that exist, in colours that have a name."""
    labels = Judge().labels
    chosen = label_prompts(labels, 200)
    assert chosen == label_prompts(labels, 200)
    assert len(set(chosen)) == 200
    assert len(set(COLOUR_TRIES)) == 50
    assert {colour for colour, _ in COLOUR_TRIES} <= set(COLOUR_NAMES)
    assert not set(COMPOSITES) & set(labels)
    assert not {" ".join(each) for each in COLOUR_TRIES} & set(labels)


def test_the_judge_knows_nothing_when_it_sees_nothing() -> None:
    """Ensures that a share among the first five cannot come from an empty picture."""
    judge = Judge()
    rows = label_prompts(judge.labels, 50)
    empty = np.zeros((50, 256, 256, 4), dtype=np.uint8)
    assert (judge.ranks(empty, rows) < 5).mean() < 0.1


def test_pictures_are_averaged_with_their_opacity() -> None:
    """Ensures that what cannot be seen does not colour what can."""
    picture = np.zeros((1, 4, 4, 4), dtype=np.uint8)
    picture[..., 0] = 255
    picture[0, :2, :, 3] = 255
    np.testing.assert_allclose(shrink(picture, 1)[0, 0, 0], [0.5, 0, 0, 0.5])


def test_a_shaded_picture_is_less_flat_than_a_plain_one() -> None:
    """Ensures that flatness counts opaque neighbours only, and steps that can be seen."""
    plain = np.full((1, 2, 64, 4), 255, dtype=np.uint8)
    shaded, hidden = plain.copy(), plain.copy()
    shaded[..., :3] = (np.arange(64) * 4)[None, None, :, None]
    hidden[..., :3], hidden[..., 32:, 3] = shaded[..., :3], 0
    hidden[..., :32, :3] = 9
    np.testing.assert_allclose(flatness(np.concatenate([plain, shaded, hidden])), [1, 0, 1])


def test_distances_are_root_mean_squares() -> None:
    """Ensures that a picture is at no distance from itself and black at one from white."""
    black, white = np.zeros((1, 2, 2, 4), dtype=np.float32), np.ones((1, 2, 2, 4), dtype=np.float32)
    np.testing.assert_allclose(apart(black, np.concatenate([black, white])), [[0, 1]])
