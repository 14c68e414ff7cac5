"""A model of the bundled one's layout, made in milliseconds: it paints a flat colour that the prompt decides.

Its velocity is 0.8 (x - target) / sigma, plus a little of what a 3 × 3 convolution with random weights makes of x, so that the
seed, the prompt, every step and the row's own timestep all leave their mark on the picture.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

CHANNELS, SIZE, SCALE, TOKENS, WIDTH = 4, 32, 8, 24, 8
# An edge of the matrices that a slow model multiplies.
WORK_EDGE = 256


def write_tiny_model(folder: Path, *, work: int = 0, **card: Any) -> Path:
    """Write and return a model folder; each step multiplies `work` matrices more. `card` replaces entries of `_mezzotint`."""
    own = {
        "name": folder.name,
        "version": "1",
        "channels": CHANNELS,
        "latent_size": SIZE,
        "image_size": SIZE * SCALE,
        "scale": SCALE,
        "max_tokens": TOKENS,
        "steps_default": 8,
        "steps_max": 100,
        "guidance_default": 3.0,
    }
    write_json(folder / "model_index.json", {"_class_name": "AquatintPipeline", "_mezzotint": {**own, **card}})
    write_json(
        folder / "scheduler/scheduler_config.json",
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.5},
    )
    (folder / "tokenizer").mkdir()
    tokenizer().save(str(folder / "tokenizer/tokenizer.json"))
    save(folder / "text_encoder/model.onnx", text_encoder())
    save(folder / "unet/model.onnx", unet(work))
    save(folder / "vae_decoder/model.onnx", vae_decoder())
    return folder


def tokenizer() -> Tokenizer:
    """One id a byte, 24 for every text."""
    letters = {letter: number + 1 for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab={"<pad>": 0, **letters}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.enable_truncation(TOKENS)
    made.enable_padding(length=TOKENS, pad_id=0, pad_token="<pad>")
    return made


def text_encoder() -> onnx.ModelProto:
    """A table of vectors and their mean."""
    nodes = [
        node("Gather", ["table", "input_ids"], "last_hidden_state"),
        node("ReduceMean", ["last_hidden_state", "axis_1"], "pooler_output", keepdims=0),
    ]
    inputs = [value("input_ids", TensorProto.INT64, ["batch", TOKENS])]
    outputs = [
        value("last_hidden_state", TensorProto.FLOAT, ["batch", TOKENS, WIDTH]),
        value("pooler_output", TensorProto.FLOAT, ["batch", WIDTH]),
    ]
    return model(nodes, inputs, outputs, table=weights(257, WIDTH), axis_1=np.array([1]))


def unet(work: int = 0) -> onnx.ModelProto:
    """Velocities toward the prompt's colour; the last nodes are `work` matrix products that change nothing."""
    nodes = [
        node("ReduceMean", ["encoder_hidden_states", "axis_1"], "context", keepdims=0),
        node("Add", ["text_embeds", "context"], "meaning"),
        node("MatMul", ["meaning", "to_colour"], "colour"),
        node("Tanh", ["colour"], "bounded"),
        node("Unsqueeze", ["bounded", "axes_2_3"], "target"),
        node("Div", ["timestep", "thousand"], "level"),
        node("Max", ["level", "least"], "sigma"),
        node("Unsqueeze", ["sigma", "axes_1_2_3"], "sigma_4d"),
        node("Sub", ["sample", "target"], "away"),
        node("Mul", ["away", "pull"], "most"),
        node("Div", ["most", "sigma_4d"], "straight"),
        node("Conv", ["sample", "kernel"], "wiggle", pads=[1, 1, 1, 1]),
        node("Add", ["straight", "wiggle"], "velocity"),
    ]
    nodes += [node("Mul", ["matrix", "timestep_0"], "work_0"), node("ReduceMax", ["timestep"], "timestep_0", keepdims=0)][::-1]
    nodes += [node("MatMul", [f"work_{i}", "matrix"], f"work_{i + 1}") for i in range(work)]
    nodes += [
        node("ReduceMean", [f"work_{work}"], "worked", keepdims=0),
        node("Mul", ["worked", "nothing"], "no_change"),
        node("Add", ["velocity", "no_change"], "out_sample"),
    ]
    inputs = [
        value("sample", TensorProto.FLOAT, ["batch", CHANNELS, SIZE, SIZE]),
        value("timestep", TensorProto.FLOAT, ["batch"]),
        value("encoder_hidden_states", TensorProto.FLOAT, ["batch", TOKENS, WIDTH]),
        value("text_embeds", TensorProto.FLOAT, ["batch", WIDTH]),
    ]
    outputs = [value("out_sample", TensorProto.FLOAT, ["batch", CHANNELS, SIZE, SIZE])]
    return model(
        nodes,
        inputs,
        outputs,
        to_colour=weights(WIDTH, CHANNELS),
        kernel=0.05 * weights(CHANNELS, CHANNELS, 3, 3),
        thousand=np.array(1000, np.float32),
        least=np.array(1e-3, np.float32),
        pull=np.array(0.8, np.float32),
        nothing=np.array(0, np.float32),
        matrix=weights(WORK_EDGE, WORK_EDGE) / WORK_EDGE,
        axis_1=np.array([1]),
        axes_2_3=np.array([2, 3]),
        axes_1_2_3=np.array([1, 2, 3]),
    )


def vae_decoder() -> onnx.ModelProto:
    """Each cell as 8 × 8 equal pixels."""
    nodes = [node("Resize", ["latent_sample", "", "factors"], "sample", mode="nearest")]
    inputs = [value("latent_sample", TensorProto.FLOAT, ["batch", CHANNELS, SIZE, SIZE])]
    outputs = [value("sample", TensorProto.FLOAT, ["batch", 4, SIZE * SCALE, SIZE * SCALE])]
    return model(nodes, inputs, outputs, factors=np.array([1, 1, SCALE, SCALE], np.float32))


def weights(*shape: int) -> npt.NDArray[np.float32]:
    """The same random numbers for the same shape."""
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], **attributes)


def value(name: str, dtype: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **constants: npt.NDArray[Any],
) -> onnx.ModelProto:
    """A checked graph."""
    initializers = [numpy_helper.from_array(content, name) for name, content in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def save(path: Path, made: onnx.ModelProto) -> None:
    """Write a graph, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(path))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
