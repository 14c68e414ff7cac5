"""Model folders: one that is fine, and every way in which one can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.runtime.errors import ModelInvalid
from tests.inference import tiny_model
from tests.inference.tiny_model import node, save, value, write_json, write_tiny_model

UNET, TEXT, DECODER = "unet/model.onnx", "text_encoder/model.onnx", "vae_decoder/model.onnx"
INDEX, SCHEDULER, TOKENIZER = "model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder that is fine."""
    return write_tiny_model(tmp_path / "tiny")


def open_engine(folder: Path) -> OnnxEngine:
    return OnnxEngine(folder, threads=1, rows_max=2)


def test_engine_keeps_its_promises(folder: Path) -> None:
    """Embeddings, velocities and pixels have the promised shapes and types, and a long or empty text is no trouble."""
    engine = open_engine(folder)
    short, empty, long = engine.embed(["red heart", "", "heart " * 700])
    assert short.hidden.shape == empty.hidden.shape == long.hidden.shape == (24, tiny_model.WIDTH)
    assert short.pooled.shape == (tiny_model.WIDTH,)
    samples = np.zeros((3, 4, 32, 32), np.float32)
    three = [short, empty, long]
    velocity = engine.denoise(
        samples,
        np.array([1000, 500, 1], np.float32),
        np.stack([each.hidden for each in three]),
        np.stack([each.pooled for each in three]),
    )
    assert velocity.shape == (3, 4, 32, 32)
    assert velocity.dtype == np.float32
    assert engine.decode(samples[:2]).shape == (2, 4, 256, 256)
    assert set(engine.step_ms) == {1, 2}


def edit_json(file: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        change(content)
        write_json(folder / file, content)

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


def rename_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[1].name = "t"
    for each in graph.graph.node:
        each.input[:] = ["t" if name == "timestep" else name for name in each.input]


def add_input(graph: onnx.ModelProto) -> None:
    graph.graph.input.append(value("time_ids", TensorProto.FLOAT, ["batch", 6]))


def fix_batch(graph: onnx.ModelProto) -> None:
    for each in graph.graph.input:
        each.type.tensor_type.shape.dim[0].dim_value = 1


def other_size(graph: onnx.ModelProto) -> None:
    for each in (*graph.graph.input, *graph.graph.output):
        if each.name in ("sample", "out_sample"):
            each.type.tensor_type.shape.dim[2].dim_value = 64


def take_doubles(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.graph.node.insert(0, node("Cast", ["sample"], "sample_f32", to=TensorProto.FLOAT))
    for each in graph.graph.node[1:]:
        each.input[:] = ["sample_f32" if name == "sample" else name for name in each.input]


def unknown_operator(graph: onnx.ModelProto) -> None:
    graph.graph.node[-1].op_type = "Mezzotinter"


def external_data(graph: onnx.ModelProto) -> None:
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="model.onnx_data")


def become_a_folder(folder: Path) -> None:
    (folder / INDEX).unlink()
    (folder / INDEX).mkdir()


WRONG: list[tuple[str, Callable[[Path], Any], str, str]] = [
    ("no index", lambda folder: (folder / INDEX).unlink(), INDEX, "missing"),
    ("index is empty", lambda folder: (folder / INDEX).write_text(""), INDEX, "empty"),
    ("index is a folder", become_a_folder, INDEX, "missing"),
    ("index is not JSON", lambda folder: (folder / INDEX).write_text("{"), INDEX, "not JSON"),
    ("index is nested deeply", lambda folder: (folder / INDEX).write_text("[" * 100_000), INDEX, "not JSON"),
    ("index is not UTF-8", lambda folder: (folder / INDEX).write_bytes(b'{"a": "\xff"}'), INDEX, "not JSON"),
    ("index is a list", lambda folder: (folder / INDEX).write_text("[]"), INDEX, "JSON object"),
    ("index is huge", lambda folder: (folder / INDEX).write_text(" " * 2_000_000), INDEX, "1048576 at most"),
    ("other pipeline", edit_json(INDEX, lambda j: j.update(_class_name="FluxPipeline")), INDEX, "AquatintPipeline"),
    ("nothing of ours", edit_json(INDEX, lambda j: j.pop("_mezzotint")), INDEX, "_mezzotint is missing"),
    ("other name", edit_json(INDEX, lambda j: j["_mezzotint"].update(name="x")), INDEX, "folder's name"),
    ("no version", edit_json(INDEX, lambda j: j["_mezzotint"].pop("version")), INDEX, "version"),
    ("steps as text", edit_json(INDEX, lambda j: j["_mezzotint"].update(steps_max="9")), INDEX, "steps_max"),
    ("too many steps", edit_json(INDEX, lambda j: j["_mezzotint"].update(steps_max=1000)), INDEX, "steps_max"),
    ("default over the limit", edit_json(INDEX, lambda j: j["_mezzotint"].update(steps_max=2)), INDEX, "steps_default 8"),
    ("sizes disagree", edit_json(INDEX, lambda j: j["_mezzotint"].update(scale=4)), INDEX, "latent_size 32"),
    ("NaN guidance", edit_json(INDEX, lambda j: j["_mezzotint"].update(guidance_default=float("nan"))), INDEX, "guidance"),
    ("other scheduler", edit_json(SCHEDULER, lambda j: j.update(_class_name="DDIM")), SCHEDULER, "DDIM"),
    ("sampler not served", edit_json(SCHEDULER, lambda j: j.update(_class_name="HeunDiscreteScheduler")), SCHEDULER, "Heun"),
    (
        "another prediction",
        edit_json(SCHEDULER, lambda j: j.update(prediction_type="epsilon")),
        SCHEDULER,
        "prediction_type epsilon",
    ),
    ("shift is zero", edit_json(SCHEDULER, lambda j: j.update(shift=0.0)), SCHEDULER, "shift"),
    ("option not served", edit_json(SCHEDULER, lambda j: j.update(use_karras_sigmas=True)), SCHEDULER, "use_karras_sigmas"),
    ("no tokenizer", lambda folder: (folder / TOKENIZER).unlink(), TOKENIZER, "missing"),
    ("not a tokenizer", lambda folder: (folder / TOKENIZER).write_text("{}"), TOKENIZER, "not a tokenizer"),
    ("no padding", edit_json(TOKENIZER, lambda j: j.update(padding=None)), TOKENIZER, "must make 24"),
    ("ids beyond the table", edit_graph(TEXT, constant("table", np.ones((9, 8), np.float32))), TEXT, "out of"),
    ("not a graph", lambda folder: (folder / UNET).write_bytes(b"no graph"), UNET, "cannot load"),
    ("graph is cut off", lambda folder: (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-99]), UNET, "cannot load"),
    ("graph is missing", lambda folder: (folder / DECODER).unlink(), DECODER, "missing"),
    ("graph is empty", lambda folder: (folder / DECODER).write_bytes(b""), DECODER, "empty"),
    ("unknown operator", edit_graph(UNET, unknown_operator), UNET, "Mezzotinter"),
    ("weights are missing", edit_graph(UNET, external_data), UNET, "model.onnx_data"),
    ("input has another name", edit_graph(UNET, rename_input), UNET, "input timestep is missing"),
    ("input too many", edit_graph(UNET, add_input), UNET, "time_ids"),
    ("input of another type", edit_graph(UNET, take_doubles), UNET, "tensor(double); it must be tensor(float)"),
    ("batch is fixed", edit_graph(UNET, fix_batch), UNET, "fixes its batch to 1"),
    ("other latent size", edit_graph(UNET, other_size), UNET, "64 in dimension 2; it must have 32"),
    ("graphs swapped", lambda folder: (folder / UNET).write_bytes((folder / DECODER).read_bytes()), UNET, "is missing"),
    ("NaN weights", edit_graph(UNET, constant("nothing", np.float32("nan"))), UNET, "not numbers"),
    ("infinite weights", edit_graph(TEXT, constant("table", np.full((257, 8), np.inf, np.float32))), TEXT, "not numbers"),
    ("pixels of another size", edit_graph(DECODER, constant("factors", np.array([1, 1, 4, 4], np.float32))), DECODER, "shape"),
]


@pytest.mark.parametrize(("damage", "file", "why"), [wrong[1:] for wrong in WRONG], ids=[wrong[0] for wrong in WRONG])
def test_wrong_folder_is_refused(folder: Path, damage: Callable[[Path], Any], file: str, why: str) -> None:
    """Each way to be wrong is refused before anything is served, naming the file and what is wrong in it."""
    damage(folder)
    with pytest.raises(ModelInvalid) as refused:
        open_engine(folder)
    assert refused.value.metadata == {"file": file}
    assert refused.value.message.startswith(file)
    assert why in refused.value.message
