"""Pipelines of other families than ours, made in milliseconds: graphs with few nodes whose results can be told by hand.

The denoiser gives half the sample, plus the mean of what its text says, plus a thousandth of timestep, pooled text and sizes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.inference.tiny_model import model, node, save, value, weights, write_json

CHANNELS, CELLS, SCALE, TOKENS, WIDTH, LAYERS = 4, 16, 8, 12, 4, 3
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
SD, SDXL, SD3 = "StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline"
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
DIFFUSION = {"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 1000, "prediction_type": "epsilon"}


def write_pipeline(folder: Path, pipeline: str = SD, *, dtype: int = FLOAT, bias: float = 0.0, **index: Any) -> Path:
    """Write and return a folder as `mezzotint export` would; `bias` is added to every pixel, `index` to model_index.json."""
    write_json(folder / "model_index.json", {"_class_name": pipeline, **index})
    write_json(folder / "scheduler/scheduler_config.json", FLOW if pipeline == SD3 else DIFFUSION)
    suffixes = {SD: [""], SDXL: ["", "_2"], SD3: ["", "_2"]}[pipeline]
    for suffix in suffixes:
        write_tokenizer(folder / f"tokenizer{suffix}")
        write_json(
            folder / f"text_encoder{suffix}/config.json", {"num_hidden_layers": LAYERS, "max_position_embeddings": TOKENS}
        )
        pooled = "text_embeds" if pipeline == SD3 or suffix else "pooler_output"
        save(folder / f"text_encoder{suffix}/model.onnx", text_encoder(pooled))
    part = "transformer" if pipeline == SD3 else "unet"
    config = {"in_channels": CHANNELS, "sample_size": CELLS} | (
        {"patch_size": 2, "pos_embed_max_size": 24} if pipeline == SD3 else {}
    )
    write_json(folder / f"{part}/config.json", config)
    save(folder / f"{part}/model.onnx", denoiser(pipeline, dtype))
    vae = {"latent_channels": CHANNELS, "block_out_channels": [8] * 4, "scaling_factor": 0.5, "shift_factor": 0.25}
    write_json(folder / "vae_decoder/config.json", vae)
    save(folder / "vae_decoder/model.onnx", decoder(bias))
    save(folder / "vae_encoder/model.onnx", encoder())
    return folder


def write_tokenizer(folder: Path) -> None:
    """One id a byte; how long texts are and what fills them up is only in tokenizer_config.json."""
    letters = {letter: number + 1 for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab={"<pad>": 0, **letters}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    folder.mkdir(parents=True)
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"model_max_length": TOKENS, "pad_token": {"content": "<pad>"}})


def text_encoder(pooled: str) -> onnx.ModelProto:
    """A table of vectors as the last hidden states, twice that as those before, and the mean as the pooled output."""
    nodes = [
        node("Gather", ["table", "input_ids"], "last_hidden_state"),
        node("Add", ["last_hidden_state", "last_hidden_state"], f"hidden_states.{LAYERS - 1}"),
        node("ReduceMean", ["last_hidden_state", "axis_1"], pooled, keepdims=0),
    ]
    hidden: list[int | str] = ["batch", TOKENS, WIDTH]
    outputs = [value(name, FLOAT, hidden) for name in ("last_hidden_state", f"hidden_states.{LAYERS - 1}")]
    outputs.append(value(pooled, FLOAT, ["batch", WIDTH]))
    inputs = [value("input_ids", TensorProto.INT64, ["batch", TOKENS])]
    return model(nodes, inputs, outputs, table=weights(257, WIDTH), axis_1=np.array([1]))


def denoiser(pipeline: str, dtype: int = FLOAT) -> onnx.ModelProto:
    """See the module. `dtype` is that of all inputs and outputs but the timestep."""
    kind = np.float16 if dtype == HALF else np.float32
    sample, result = ("hidden_states", "out_hidden_states") if pipeline == SD3 else ("sample", "out_sample")
    clips = 1 if pipeline == SD else 2
    tokens = TOKENS * (2 if pipeline == SD3 else 1)
    inputs = [
        value(sample, dtype, ["batch", CHANNELS, "height", "width"]),
        value("timestep", FLOAT, ["batch"]),
        value("encoder_hidden_states", dtype, ["batch", tokens, WIDTH * clips]),
    ]
    nodes = [
        node("Mul", [sample, "half"], "halved"),
        node("ReduceMean", ["encoder_hidden_states", "axes_1_2"], "said", keepdims=0),
        node("Cast", ["timestep"], "level", to=dtype),
        node("Mul", ["level", "thousandth"], "small_level"),
        node("Add", ["said", "small_level"], "sum_0"),
    ]
    extra = {SD: [], SDXL: [("text_embeds", WIDTH), ("time_ids", 6)], SD3: [("pooled_projections", WIDTH * 2)]}[pipeline]
    for number, (name, width) in enumerate(extra):
        inputs.append(value(name, dtype, ["batch", width]))
        nodes += [
            node("ReduceSum", [name, "axis_1"], f"{name}_sum", keepdims=0),
            node("Mul", [f"{name}_sum", "thousandth"], f"{name}_small"),
            node("Add", [f"sum_{number}", f"{name}_small"], f"sum_{number + 1}"),
        ]
    nodes += [node("Unsqueeze", [f"sum_{len(extra)}", "axes_1_2_3"], "added"), node("Add", ["halved", "added"], result)]
    constants = {"half": np.array(0.5, kind), "thousandth": np.array(0.001, kind), "axes_1_2": np.array([1, 2])}
    axes = {"axis_1": np.array([1]), "axes_1_2_3": np.array([1, 2, 3])}
    return model(nodes, inputs, [value(result, dtype, ["batch", CHANNELS, "height", "width"])], **constants, **axes)


def decoder(bias: float = 0.0) -> onnx.ModelProto:
    """The first three channels, plus `bias`, each cell as 8 × 8 equal pixels."""
    nodes = [
        node("Conv", ["latent_sample", "first_three", "bias"], "colours"),
        node("Resize", ["colours", "", "factors"], "sample", mode="nearest"),
    ]
    return model(
        nodes,
        [value("latent_sample", FLOAT, ["batch", CHANNELS, "height", "width"])],
        [value("sample", FLOAT, ["batch", 3, "pixel_height", "pixel_width"])],
        first_three=np.eye(3, CHANNELS, dtype=np.float32)[:, :, None, None],
        bias=np.full(3, bias, np.float32),
        factors=np.array([1, 1, SCALE, SCALE], np.float32),
    )


def encoder() -> onnx.ModelProto:
    """The mean of each cell's pixels in three channels of the mean; the fourth, and all variances, are 0."""
    nodes = [
        node("AveragePool", ["sample"], "means", kernel_shape=[SCALE, SCALE], strides=[SCALE, SCALE]),
        node("Conv", ["means", "into_eight"], "latent_parameters"),
    ]
    return model(
        nodes,
        [value("sample", FLOAT, ["batch", 3, "pixel_height", "pixel_width"])],
        [value("latent_parameters", FLOAT, ["batch", 2 * CHANNELS, "height", "width"])],
        into_eight=np.eye(2 * CHANNELS, 3, dtype=np.float32)[:, :, None, None],
    )
