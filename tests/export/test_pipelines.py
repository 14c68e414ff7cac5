"""Pipelines of diffusers, exported and drawn by the engine as diffusers draws them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mezzotint.export.export import export
from mezzotint.inference.batching.lane import Lane, Picture
from mezzotint.inference.models.engine import Embedding
from mezzotint.inference.models.onnx_engine import OnnxEngine
from tests.export import pipelines

# torch and diffusers warn about their own internals; nothing here can act on that.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]
PROMPT = "a red heart on a hill, and far more words than fit"
STEPS, GUIDANCE = 5, 4.0
# Differences of float32 after five steps through another runtime, as a part of the largest value.
TOLERANCE = 1e-4
Floats = npt.NDArray[np.float32]


def text_sd(pipeline: Any) -> list[Embedding]:
    positive, negative = pipeline.encode_prompt(PROMPT, "cpu", 1, True, "")
    return [Embedding(numbers(each)[0], np.zeros(0, np.float32)) for each in (positive, negative)]


def text_sdxl(pipeline: Any) -> list[Embedding]:
    positive, negative, pooled, negative_pooled = pipeline.encode_prompt(PROMPT)
    return [Embedding(numbers(positive)[0], numbers(pooled)[0]), Embedding(numbers(negative)[0], numbers(negative_pooled)[0])]


def text_sd3(pipeline: Any) -> list[Embedding]:
    length = pipelines.TOKENS
    found = pipeline.encode_prompt(PROMPT, None, None, negative_prompt="", max_sequence_length=length)
    positive, negative, pooled, negative_pooled = (numbers(each)[0] for each in found)
    return [Embedding(positive, pooled), Embedding(negative, negative_pooled)]


def numbers(tensor: torch.Tensor) -> Floats:
    found: Floats = tensor.detach().numpy()
    return found


SAVED: list[tuple[Callable[[Path], Any], Callable[[Any], list[Embedding]], dict[str, Any]]] = [
    (pipelines.save_sd, text_sd, {"negative_prompt": ""}),
    (pipelines.save_sdxl, text_sdxl, {}),
    (pipelines.save_sd3, text_sd3, {"negative_prompt": "", "max_sequence_length": pipelines.TOKENS}),
]


@pytest.mark.parametrize(("save", "text", "call"), SAVED, ids=["sd", "sdxl", "sd3"])
def test_engine_draws_what_diffusers_draws(
    save: Callable[[Path], Any], text: Callable[[Any], list[Embedding]], call: dict[str, Any], tmp_path: Path
) -> None:
    """A pipeline that was exported has the layout, and its embeddings, latents and pixels are those of diffusers."""
    pipeline = save(tmp_path / "source")
    lines: list[str] = []
    export(tmp_path / "source", tmp_path / "out", tell=lines.append)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}
    denoiser = "transformer" if hasattr(pipeline, "transformer") else "unet"
    for file in (f"{denoiser}/model.onnx", "vae_decoder/model.onnx", "vae_encoder/model.onnx", "tokenizer/tokenizer.json"):
        assert (tmp_path / "out" / file).is_file()
    assert len(lines) == len(list((tmp_path / "out").glob("*/model.onnx")))

    engine = OnnxEngine(tmp_path / "out", threads=1, rows_max=2)
    found = engine.embed([PROMPT, ""])
    for ours, theirs in zip(found, text(pipeline), strict=True):
        np.testing.assert_allclose(ours.hidden, theirs.hidden, atol=1e-5)
        np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=1e-5)
    expect_same_picture(engine, pipeline, found, call)


def expect_same_picture(engine: OnnxEngine, pipeline: Any, text: list[Embedding], call: dict[str, Any]) -> None:
    """The same latents in as many steps, then the same pixels, and latents again."""
    noise = np.random.default_rng(0).standard_normal((1, 4, 16, 24), np.float32)
    height, width = (side * engine.card.scale for side in noise.shape[2:])
    assert engine.card.draws(width, height)
    sampler = engine.card.samplers[0]
    lane = Lane(engine, 1)
    lane.join(0, Picture(noise[0], 1, sampler, STEPS, GUIDANCE, text[0], text[1]))
    latents = [lane.step([0]) for _ in range(STEPS)][-1].finished[0]
    theirs = pipeline(
        PROMPT,
        height=height,
        width=width,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=torch.tensor(noise),
        output_type="latent",
        **call,
    ).images.numpy()[0]
    np.testing.assert_allclose(latents, theirs, atol=TOLERANCE * np.abs(theirs).max())

    vae = pipeline.vae
    shift = vae.config.shift_factor or 0.0
    with torch.no_grad():
        pixels = vae.decode(torch.tensor(noise) / vae.config.scaling_factor + shift).sample
        encoded = (vae.encode(pixels.clip(-1, 1)).latent_dist.mean - shift) * vae.config.scaling_factor
    ours = engine.decode(noise)
    assert (ours[:, 3] == 1).all()
    np.testing.assert_allclose(ours[:, :3], pixels.numpy(), atol=1e-5)
    np.testing.assert_allclose(engine.encode(ours.clip(-1, 1)), encoded.numpy(), atol=1e-4)
