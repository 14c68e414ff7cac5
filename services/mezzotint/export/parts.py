"""The parts of a pipeline that become graphs: their names for inputs and outputs, and random inputs to try them on.

Names are those of optimum's exports where it has them, so that either's folders can be read; a timestep is one number a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

TIMESTEPS = 1000
# (rows, height, width) -> the inputs of a graph in order; height and width are in latent cells.
MakeInputs = Callable[[int, int, int], tuple[Tensor, ...]]
Call = Callable[..., Any]


class Part(nn.Module):
    """One module of a pipeline, with the call, inputs and outputs of its graph.

    `open_axes` are the dimensions that a graph leaves open besides the batch, by input.
    """

    def __init__(
        self,
        folder: str,
        module: nn.Module,
        call: Call,
        inputs: Sequence[str],
        outputs: Sequence[str],
        make_inputs: MakeInputs,
        open_axes: dict[str, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.module = module.eval()
        self.call = call
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.make_inputs = make_inputs
        self.open_axes = open_axes or {}

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in order."""
        found = self.call(self.module, *inputs)
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Layout:
    """What the parts of one pipeline must agree in: the width of a text's vectors, their count, and the pooled width."""

    tokens: int
    width: int
    pooled: int = 0


def clip_part(folder: str, module: Any, tokens: int, *, projected: bool) -> Part:
    """A CLIP text encoder: its last and last but one hidden states, and a pooled or projected vector."""
    config = module.config
    penultimate = f"hidden_states.{config.num_hidden_layers - 1}"
    eos = int(config.eos_token_id) if config.eos_token_id is not None and config.eos_token_id != 2 else config.vocab_size - 1

    def call(model: Any, ids: Tensor) -> tuple[Tensor, ...]:
        found = model(ids, output_hidden_states=True)
        pooled = found.text_embeds if projected else found.pooler_output
        return found.last_hidden_state, pooled, found.hidden_states[-2]

    def make_inputs(rows: int, _height: int, _width: int) -> tuple[Tensor, ...]:
        ids = torch.randint(0, config.vocab_size, (rows, tokens))
        ids[ids == eos] = 0
        ends = torch.randint(1, tokens, (rows, 1))
        return (ids.masked_fill(torch.arange(tokens) >= ends, eos),)

    pooled = "text_embeds" if projected else "pooler_output"
    return Part(folder, module, call, ("input_ids",), ("last_hidden_state", pooled, penultimate), make_inputs)


def t5_part(folder: str, module: Any, tokens: int) -> Part:
    """A T5 encoder: its last hidden states. Its fused attention does not decompose, the plain one does."""
    module.set_attn_implementation("eager")

    def call(model: Any, ids: Tensor) -> Tensor:
        hidden: Tensor = model(ids).last_hidden_state
        return hidden

    def make_inputs(rows: int, _height: int, _width: int) -> tuple[Tensor, ...]:
        return (torch.randint(0, module.config.vocab_size, (rows, tokens)),)

    return Part(folder, module, call, ("input_ids",), ("last_hidden_state",), make_inputs)


def unet_part(module: Any, layout: Layout, *, added: bool) -> Part:
    """A UNet; `added`: with SDXL's pooled text and sizes."""
    names = ["sample", "timestep", "encoder_hidden_states"] + ["text_embeds", "time_ids"] * added

    def call(model: Any, sample: Tensor, timestep: Tensor, hidden: Tensor, *conditions: Tensor) -> Any:
        extra = dict(zip(("text_embeds", "time_ids"), conditions, strict=False)) or None
        return model(sample, timestep, encoder_hidden_states=hidden, added_cond_kwargs=extra, return_dict=False)[0]

    def make_inputs(rows: int, height: int, width: int) -> tuple[Tensor, ...]:
        sample = torch.randn(rows, module.config.in_channels, height, width)
        conditions = (torch.randn(rows, layout.pooled), torch.rand(rows, 6) * 1024) if added else ()
        return sample, torch.rand(rows) * TIMESTEPS, torch.randn(rows, layout.tokens, layout.width), *conditions

    return Part("unet", module, call, names, ("out_sample",), make_inputs, {"sample": (2, 3)})


def sd3_part(module: Any, layout: Layout) -> Part:
    """The transformer of Stable Diffusion 3; sides are whole patches."""
    patch = module.config.patch_size

    def call(model: Any, sample: Tensor, hidden: Tensor, pooled: Tensor, timestep: Tensor) -> Any:
        return model(sample, encoder_hidden_states=hidden, pooled_projections=pooled, timestep=timestep, return_dict=False)[0]

    def make_inputs(rows: int, height: int, width: int) -> tuple[Tensor, ...]:
        sample = torch.randn(rows, module.config.in_channels, height // patch * patch, width // patch * patch)
        texts = torch.randn(rows, layout.tokens, layout.width), torch.randn(rows, layout.pooled)
        return sample, *texts, torch.rand(rows) * TIMESTEPS

    names = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep")
    return Part("transformer", module, call, names, ("out_hidden_states",), make_inputs, {"hidden_states": (2, 3)})


def vae_parts(module: Any) -> list[Part]:
    """The two halves of an AutoencoderKL. The encoder gives mean and logarithm of the variance."""
    scale = 2 ** (len(module.config.block_out_channels) - 1)

    def decode(model: Any, latents: Tensor) -> Any:
        return model.decode(latents, return_dict=False)[0]

    def encode(model: Any, pixels: Tensor) -> Any:
        return model.encode(pixels, return_dict=False)[0].parameters

    def latents(rows: int, height: int, width: int) -> tuple[Tensor, ...]:
        return (torch.randn(rows, module.config.latent_channels, height, width),)

    def pixels(rows: int, height: int, width: int) -> tuple[Tensor, ...]:
        return (torch.rand(rows, 3, height * scale, width * scale) * 2 - 1,)

    opened = {"latent_sample": (2, 3), "sample": (2, 3)}
    return [
        Part(
            "vae_decoder", module, decode, ("latent_sample",), ("sample",), latents, {"latent_sample": opened["latent_sample"]}
        ),
        Part("vae_encoder", module, encode, ("sample",), ("latent_parameters",), pixels, {"sample": opened["sample"]}),
    ]
