"""The small files of the bundle: model_index.json, the scheduler's and the components' configuration."""

import json
from pathlib import Path
from typing import Any

from training.aquatint.base_model import GUIDANCE_DEFAULT, LATENT_SHAPE, SHIFT, STEPS_DEFAULT, BaseModel
from training.aquatint.pictures import BASE_SIZE, FULL_SIZE
from training.aquatint.tokenizer import MAX_TOKENS, PAD_ID, PAD_TOKEN, START_ID, START_TOKEN, VOCABULARY_SIZE
from training.aquatint.upscaler import SCALE

VERSION = "3"
STEPS_MAX = 100
SESSION = ["onnxruntime", "InferenceSession"]


def model_index() -> dict[str, Any]:
    """Name the components, and say what the engine must know before it loads any of them."""
    return {
        "_class_name": "AquatintPipeline",
        "_mezzotint": {
            "name": "aquatint",
            "version": VERSION,
            "channels": LATENT_SHAPE[0],
            "latent_size": BASE_SIZE,
            "image_size": FULL_SIZE,
            "scale": SCALE,
            "max_tokens": MAX_TOKENS,
            "steps_default": STEPS_DEFAULT,
            "steps_max": STEPS_MAX,
            "guidance_default": GUIDANCE_DEFAULT,
            "license": "MIT",
        },
        "tokenizer": ["tokenizers", "Tokenizer"],
        "text_encoder": SESSION,
        "unet": SESSION,
        "vae_decoder": SESSION,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }


def scheduler_config() -> dict[str, Any]:
    """Return the fields of diffusers' FlowMatchEulerDiscreteScheduler."""
    return {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": SHIFT,
        "use_dynamic_shifting": False,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "base_image_seq_len": 256,
        "max_image_seq_len": 4096,
        "invert_sigmas": False,
        "shift_terminal": None,
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "time_shift_type": "exponential",
        "stochastic_sampling": False,
    }


def component_configs(model: BaseModel) -> dict[str, dict[str, Any]]:
    """Describe each component, keyed by its folder."""
    shape = model.unet.shape
    return {
        "tokenizer": {
            "model_max_length": MAX_TOKENS,
            "pad_token": PAD_TOKEN,
            "pad_token_id": PAD_ID,
            "bos_token": START_TOKEN,
            "bos_token_id": START_ID,
        },
        "text_encoder": {
            "hidden_size": shape.words,
            "vocab_size": VOCABULARY_SIZE,
            "max_position_embeddings": MAX_TOKENS,
            "pad_token_id": PAD_ID,
        },
        "unet": {
            "sample_size": BASE_SIZE,
            "in_channels": LATENT_SHAPE[0],
            "out_channels": LATENT_SHAPE[0],
            "block_out_channels": list(shape.channels),
            "layers_per_block": shape.blocks,
            "cross_attention_dim": shape.words,
            "prediction_type": "flow_velocity",
        },
        "vae_decoder": {
            "latent_channels": LATENT_SHAPE[0],
            "sample_size": FULL_SIZE,
            "out_channels": 4,
            "scaling_factor": 1.0,
            "shift_factor": 0.0,
            "alpha": "straight",
            "latent_encoding": "rgb: alpha * (2 rgb - 1), alpha: 2 alpha - 1",
        },
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON with a newline at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_configuration(folder: Path, model: BaseModel) -> None:
    """Write every JSON file of the bundle but the tokenizer's own."""
    write_json(folder / "model_index.json", model_index())
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler_config())
    for component, content in component_configs(model).items():
        write_json(folder / component / "config.json", content)
