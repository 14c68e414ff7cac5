"""Pipelines of other families than ours: their texts, inputs, sizes and pixels, and every way in which one can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tokenizers import pre_tokenizers

from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.pictures.pixels import preview
from mezzotint.runtime.errors import ModelInvalid
from tests.inference import tiny_pipelines as tiny
from tests.inference.tiny_model import node, save, weights, write_json, write_tiny_model
from tests.inference.tiny_pipelines import SD, SD3, SDXL, write_pipeline

INDEX, UNET, DECODER, ENCODER = "model_index.json", "unet/model.onnx", "vae_decoder/model.onnx", "vae_encoder/model.onnx"
TEXT, UNET_JSON, VAE_JSON = "text_encoder/model.onnx", "unet/config.json", "vae_decoder/config.json"
SETTINGS, TOKENIZER = "tokenizer/tokenizer_config.json", "tokenizer/tokenizer.json"


def open_engine(folder: Path) -> OnnxEngine:
    return OnnxEngine(folder, threads=1, rows_max=2)


def table_of(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the tiny text encoders say of a text: (TOKENS, WIDTH)."""
    order = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = [order.index("Ġ" if letter == " " else letter) + 1 for letter in text][: tiny.TOKENS]
    found: np.ndarray[Any, np.dtype[np.float32]] = weights(257, tiny.WIDTH)[ids + [0] * (tiny.TOKENS - len(ids))]
    return found


@pytest.mark.parametrize("dtype", [tiny.FLOAT, tiny.HALF], ids=["float32", "float16"])
@pytest.mark.parametrize("pipeline", [SD, SDXL, SD3])
def test_denoiser_gets_what_its_family_says(pipeline: str, dtype: int, tmp_path: Path) -> None:
    """Rows of two sizes, each with its own timestep and text, get by hand what the graph makes of them, in either precision."""
    engine = open_engine(write_pipeline(tmp_path / "one", pipeline, dtype=dtype))
    texts = engine.embed(["heart", "a longer text than fits"])
    hidden, pooled = np.stack([each.hidden for each in texts]), np.stack([each.pooled for each in texts])
    timesteps = np.array([900.0, 3.0], np.float32)
    for width, height in ((128, 128), (192, 96)):
        latent = engine.card.latent_of(width, height)
        assert latent == (4, height // 8, width // 8)
        samples = np.random.default_rng(1).standard_normal((2, *latent), np.float32)
        added = hidden.mean(axis=(1, 2)) + timesteps / 1000 + pooled.sum(axis=1) / 1000
        if pipeline == SDXL:
            added += 2 * (height + width) / 1000
        expected = samples / 2 + added[:, None, None, None]
        result = engine.denoise(samples, timesteps, hidden, pooled)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=1e-5 if dtype == tiny.FLOAT else 5e-3)


@pytest.mark.parametrize("pipeline", [SD, SDXL, SD3])
def test_texts_are_put_together_as_the_family_does(pipeline: str, tmp_path: Path) -> None:
    """One encoder's last states; two encoders' states before the last, side by side; or those with room for a third behind."""
    engine = open_engine(write_pipeline(tmp_path / "one", pipeline))
    (found,) = engine.embed(["heart"])
    said = table_of("heart")
    if pipeline == SD:
        np.testing.assert_allclose(found.hidden, said)
        assert found.pooled.shape == (0,)
        return
    np.testing.assert_allclose(found.hidden[: tiny.TOKENS], 2 * np.concatenate([said, said], axis=1))
    means = said.mean(axis=0)
    np.testing.assert_allclose(found.pooled, means if pipeline == SDXL else np.tile(means, 2), atol=1e-6)
    if pipeline == SD3:
        assert found.hidden.shape == (2 * tiny.TOKENS, 2 * tiny.WIDTH)
        assert not found.hidden[tiny.TOKENS :].any()


def test_empty_prompt_is_zeros_where_the_index_says_so(tmp_path: Path) -> None:
    """With force_zeros_for_empty_prompt the unconditional prompt is zeros, and no other text is."""
    engine = open_engine(write_pipeline(tmp_path / "one", SDXL, force_zeros_for_empty_prompt=True))
    empty, heart = engine.embed(["", "heart"])
    assert not empty.hidden.any()
    assert not empty.pooled.any()
    assert heart.hidden.any()
    (encoded,) = open_engine(write_pipeline(tmp_path / "two", SDXL)).embed([""])
    assert encoded.hidden.any()


def test_pixels_and_back(tmp_path: Path) -> None:
    """Latents are scaled and moved on their way to opaque pixels, and the encoder gives them back; clear pixels are white."""
    engine = open_engine(write_pipeline(tmp_path / "one"))
    latents = np.random.default_rng(2).uniform(-0.3, 0.3, (2, 4, 12, 20)).astype(np.float32)
    pixels = engine.decode(latents)
    assert pixels.shape == (2, 4, 96, 160)
    assert (pixels[:, 3] == 1).all()
    np.testing.assert_allclose(pixels[:, :3, ::8, ::8], latents[:, :3] / 0.5 + 0.25, atol=1e-6)
    assert engine.card.encodes
    np.testing.assert_allclose(engine.encode(pixels)[:, :3], latents[:, :3], atol=1e-6)
    clear = pixels.copy()
    clear[:, 3] = -1
    np.testing.assert_allclose(engine.encode(clear)[:, :3], np.full_like(latents[:, :3], (1 - 0.25) * 0.5), atol=1e-6)


def test_sketch_is_near_the_pixels(tmp_path: Path) -> None:
    """The sketch of latents, found at the warm-up, has the mean colour of each cell; a preview of it keeps the shape."""
    engine = open_engine(write_pipeline(tmp_path / "one"))
    latents = np.random.default_rng(2).uniform(-0.3, 0.3, (1, 4, 12, 24)).astype(np.float32)
    sketch = engine.sketch(latents)
    np.testing.assert_allclose(sketch[:, :3], engine.decode(latents)[:, :3, ::8, ::8], atol=1e-3)
    assert (sketch[:, 3] == 1).all()
    header = preview(sketch[0], opaque=False)[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (64, 32)


def test_sketch_and_latents_of_pixel_space(engine: OnnxEngine) -> None:
    """Where cells are pixels, the sketch is the latents, and encoding is shrinking: opacity times colour, and opacity."""
    latents = np.zeros((1, 4, 32, 32), np.float32)
    assert engine.sketch(latents) is latents
    pixels = np.ones((1, 4, 256, 256), np.float32)
    pixels[:, :3] = 0.5
    pixels[:, 3, :, :4] = -1
    found = engine.encode(pixels)
    assert found.shape == (1, 4, 32, 32)
    np.testing.assert_allclose(found[0, :, 0, 0], [0.25, 0.25, 0.25, 0.0])
    np.testing.assert_allclose(found[0, :, 0, 1], [0.5, 0.5, 0.5, 1.0])


def test_sizes_of_a_range(tmp_path: Path) -> None:
    """Any size in whole steps within the bounds is drawn; the list begins with the default and holds only sizes that are."""
    card = open_engine(write_pipeline(tmp_path / "one", SD3)).card
    assert card.sizes[0] == "128x128"
    assert "160x96" in card.sizes or "160x112" in card.sizes
    for size in card.sizes:
        width, height = map(int, size.split("x"))
        assert card.draws(width, height)
    assert card.draws(208, 112)
    for width, height in ((104, 128), (48, 128), (272, 64), (256, 256), (0, 128)):
        assert not card.draws(width, height), (width, height)


def test_positions_bound_the_sides(tmp_path: Path) -> None:
    """A transformer with a table of positions draws no side that the table is too short for."""
    folder = write_pipeline(tmp_path / "one", SD3)
    config = json.loads((folder / "transformer/config.json").read_text())
    write_json(folder / "transformer/config.json", config | {"pos_embed_max_size": 10})
    card = open_engine(folder).card
    assert card.draws(160, 96)
    assert not card.draws(176, 96)


def edit_json(file: str, **changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        write_json(folder / file, json.loads((folder / file).read_text()) | changes)

    return damage


def edit_graph(file: str, change: Callable[[onnx.ModelProto], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        graph = onnx.load(str(folder / file))
        change(graph)
        save(folder / file, graph)

    return damage


def constant(name: str, content: Any) -> Callable[[onnx.ModelProto], None]:
    """Replace a graph's constant."""

    def change(graph: onnx.ModelProto) -> None:
        found = next(each for each in graph.graph.initializer if each.name == name)
        found.CopyFrom(numpy_helper.from_array(np.asarray(content), name))

    return change


def scalar_timestep(graph: onnx.ModelProto) -> None:
    del next(each for each in graph.graph.input if each.name == "timestep").type.tensor_type.shape.dim[:]


def fix_height(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value = tiny.CELLS


def only_squares(graph: onnx.ModelProto) -> None:
    """A graph that leaves its sides open and still takes the default size only."""
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1, tiny.CELLS, tiny.CELLS), np.float32), "square"))
    last = graph.graph.node[-1]
    last.output[0] = "before"
    graph.graph.node.append(node("Add", ["before", "square"], "out_sample"))


def more_than_any_memory(graph: onnx.ModelProto) -> None:
    """A graph that asks for an array of a million million million numbers on its way."""
    shape = np.array([10**6, 10**6, 10**6], np.int64)
    graph.graph.initializer.append(numpy_helper.from_array(shape, "vast_shape"))
    last = graph.graph.node[-1]
    last.output[0] = "before"
    graph.graph.node.extend(
        [
            # Not a constant, which would be made when the graph is opened.
            node("Cast", ["timestep"], "any_number", to=TensorProto.INT64),
            node("ReduceMax", ["any_number"], "most", keepdims=0),
            node("Mul", ["most", "none"], "nothing"),
            node("Add", ["vast_shape", "nothing"], "asked"),
            node("ConstantOfShape", ["asked"], "vast"),
            node("ReduceMax", ["vast"], "of_vast", keepdims=0),
            node("Add", ["before", "of_vast"], "out_sample"),
        ]
    )
    graph.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "none"))


def unknown_operator(graph: onnx.ModelProto) -> None:
    graph.graph.node[-1].op_type = "Mezzotinter"


def take_integers(graph: onnx.ModelProto) -> None:
    next(each for each in graph.graph.input if each.name == "timestep").type.tensor_type.elem_type = TensorProto.INT64


NOT_NUMBERS = np.full((8, 3, 1, 1), np.nan, np.float32)
WRONG: list[tuple[str, Callable[[Path], Any], str, str]] = [
    ("unknown pipeline", edit_json(INDEX, _class_name="FluxPipeline"), INDEX, "StableDiffusionXLPipeline"),
    ("name of another", edit_json(INDEX, _mezzotint={"name": "other"}), INDEX, "folder's name"),
    ("no denoiser config", lambda folder: (folder / UNET_JSON).unlink(), UNET_JSON, "missing"),
    ("no decoder config", lambda folder: (folder / VAE_JSON).unlink(), VAE_JSON, "missing"),
    ("no tokenizer settings", lambda folder: (folder / SETTINGS).unlink(), SETTINGS, "missing"),
    ("levels as a number", edit_json(VAE_JSON, block_out_channels=4), VAE_JSON, "1 to 7 levels"),
    ("no latent size", edit_json(UNET_JSON, sample_size=None), UNET_JSON, "sample_size is None"),
    ("channels disagree", edit_json(UNET_JSON, in_channels=9), UNET_JSON, "in_channels is 9; vae_decoder/config.json has 4"),
    ("guidance inside", edit_json(UNET_JSON, time_cond_proj_dim=256), UNET_JSON, "time_cond_proj_dim"),
    ("scaling is nothing", edit_json(VAE_JSON, scaling_factor=0), VAE_JSON, "scaling_factor is 0"),
    ("scaling by channel", edit_json(VAE_JSON, latents_mean=[0, 0, 0, 0]), VAE_JSON, "latents_mean"),
    ("no tokens", edit_json(SETTINGS, model_max_length=0), SETTINGS, "model_max_length"),
    ("no padding", edit_json(SETTINGS, pad_token=None), SETTINGS, "pad_token is None"),
    ("unknown padding", edit_json(SETTINGS, pad_token="<nothing>"), SETTINGS, "'<nothing>', which the tokenizer does not know"),
    ("scalar timestep", edit_graph(UNET, scalar_timestep), UNET, "timestep has the shape []; it must have 1 dimensions"),
    ("whole timesteps", edit_graph(UNET, take_integers), UNET, "tensor(int64)"),
    ("height is fixed", edit_graph(UNET, fix_height), UNET, "fixes a side to 16 cells"),
    ("squares only", edit_graph(UNET, only_squares), UNET, "the call failed"),
    ("no memory has room", edit_graph(UNET, more_than_any_memory), UNET, "the call failed"),
    ("unknown operator", edit_graph(UNET, unknown_operator), UNET, "Mezzotinter"),
    ("NaN weights", edit_graph(UNET, constant("half", np.float32("nan"))), UNET, "not numbers"),
    (
        "NaN in the encoder",
        edit_graph(ENCODER, constant("into_eight", np.full((8, 3, 1, 1), np.nan, np.float32))),
        ENCODER,
        "not n",
    ),
    ("pixels of another scale", edit_graph(DECODER, constant("factors", np.array([1, 1, 4, 4], np.float32))), DECODER, "shape"),
    ("text of another width", edit_graph(TEXT, constant("table", np.ones((257, 5), np.float32))), TEXT, "last dimension"),
    ("text swapped", lambda folder: (folder / TEXT).write_bytes((folder / UNET).read_bytes()), TEXT, "input_ids is missing"),
]


@pytest.mark.parametrize(("damage", "file", "why"), [wrong[1:] for wrong in WRONG], ids=[wrong[0] for wrong in WRONG])
def test_wrong_folder_is_refused(tmp_path: Path, damage: Callable[[Path], Any], file: str, why: str) -> None:
    """Each way to be wrong is refused before anything is served, naming the file and what is wrong in it."""
    folder = write_pipeline(tmp_path / "one")
    damage(folder)
    with pytest.raises(ModelInvalid) as refused:
        open_engine(folder)
    assert refused.value.metadata == {"file": file}
    assert refused.value.message.startswith(file)
    assert why in refused.value.message


def test_index_can_say_otherwise(tmp_path: Path) -> None:
    """What `_mezzotint` says goes before what the configurations say; a range that is null leaves one size."""
    own = {"version": "7", "steps_default": 4, "guidance_default": 1.0, "size_range": None}
    card = open_engine(write_pipeline(tmp_path / "one", _mezzotint=own)).card
    assert (card.key, card.steps_default, card.guidance_default, card.sizes) == ("one@7", 4, 1.0, ("128x128",))
    assert write_tiny_model(tmp_path / "tiny").is_dir()
