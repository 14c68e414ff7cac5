"""The shipped bundle keeps the contract with the inference engine: names, types, shapes, sizes."""

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the bundle runs on ONNX Runtime; install mezzotint[cpu]")

from onnxruntime import InferenceSession  # after the skip

from training.aquatint.bundle_sampler import BundleSampler  # after the skip
from training.aquatint.locations import MODEL_DIR  # after the skip

Values = dict[str, tuple[str, tuple[int | str, ...]]]

TOTAL_MB_MAX = 40
SAMPLES_KB_MAX = 600
TOKENS, FLOAT, INT = 24, "tensor(float)", "tensor(int64)"
STATES, POOLED = (TOKENS, "D"), ("D",)
LATENT, PICTURE = (4, 32, 32), (4, 256, 256)
CONTRACT: dict[str, tuple[Values, Values]] = {
    "text_encoder": (
        {"input_ids": (INT, (TOKENS,))},
        {"last_hidden_state": (FLOAT, STATES), "pooler_output": (FLOAT, POOLED)},
    ),
    "unet": (
        {
            "sample": (FLOAT, LATENT),
            "timestep": (FLOAT, ()),
            "encoder_hidden_states": (FLOAT, STATES),
            "text_embeds": (FLOAT, POOLED),
        },
        {"out_sample": (FLOAT, LATENT)},
    ),
    "vae_decoder": ({"latent_sample": (FLOAT, LATENT)}, {"sample": (FLOAT, PICTURE)}),
}


def session_of(sampler: BundleSampler, name: str) -> InferenceSession:
    return {"text_encoder": sampler.text_encoder, "unet": sampler.unet, "vae_decoder": sampler.decoder}[name]


@pytest.mark.parametrize("name", CONTRACT)
def test_a_graph_has_the_agreed_inputs_and_outputs(sampler: BundleSampler, name: str) -> None:
    width = json.loads((MODEL_DIR / "text_encoder" / "config.json").read_text())["hidden_size"]
    session = session_of(sampler, name)
    for agreed, actual in zip(CONTRACT[name], (session.get_inputs(), session.get_outputs()), strict=True):
        assert [value.name for value in actual] == list(agreed)
        for value in actual:
            kind, shape = agreed[value.name]
            assert value.type == kind
            assert isinstance(value.shape[0], str), f"{value.name}: the batch must be dynamic, not {value.shape[0]}"
            assert tuple(value.shape[1:]) == tuple(width if side == "D" else side for side in shape)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_every_graph_takes_any_batch(sampler: BundleSampler, batch: int) -> None:
    pictures = sampler.draw(["cat"] * batch, seed=0, steps=1)
    assert pictures.shape == (batch, 256, 256, 4)


def test_a_row_does_not_depend_on_its_neighbours(sampler: BundleSampler) -> None:
    words, pooled = sampler.encode(["red heart", "pizza", ""])
    sample = np.random.default_rng(0).standard_normal((3, 4, 32, 32), dtype=np.float32)
    times = np.array([1000, 500, 20], dtype=np.float32)
    feed = {"sample": sample, "timestep": times, "encoder_hidden_states": words, "text_embeds": pooled}
    together = sampler.unet.run(None, feed)[0]
    for row in range(3):
        alone = sampler.unet.run(None, {name: value[row : row + 1] for name, value in feed.items()})[0]
        np.testing.assert_allclose(alone[0], together[row], atol=2e-4)


def test_the_graphs_fit_the_repository() -> None:
    total = sum(path.stat().st_size for path in MODEL_DIR.rglob("*.onnx"))
    assert total <= TOTAL_MB_MAX * 1e6
    assert (MODEL_DIR / "samples.png").stat().st_size <= SAMPLES_KB_MAX * 1000


def test_the_index_names_what_lies_in_the_folder() -> None:
    index = json.loads((MODEL_DIR / "model_index.json").read_text())
    assert index["_class_name"] == "AquatintPipeline"
    facts = index["_mezzotint"]
    assert (facts["channels"], facts["latent_size"], facts["image_size"], facts["max_tokens"]) == (4, 32, 256, TOKENS)
    assert facts["latent_size"] * facts["scale"] == facts["image_size"]
    for component in (name for name in index if not name.startswith("_")):
        assert list((MODEL_DIR / component).glob("*config.json")), component
    assert (MODEL_DIR / "NOTICE").exists()


def test_the_graphs_carry_no_trace_of_the_machine_that_made_them() -> None:
    for path in MODEL_DIR.rglob("*.onnx"):
        content = path.read_bytes()
        for trace in (b"site-packages", b"/tmp/", b"/home/", b"Traceback"):
            assert trace not in content, f"{path.parent.name}: {trace!r}"
