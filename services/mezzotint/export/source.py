"""A pipeline's folder as the diffusers library writes it: its configurations, its parts one by one, its tokenizers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from transformers import AutoTokenizer, CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

from mezzotint.export.parts import Layout, Part, clip_part, sd3_part, t5_part, unet_part, vae_parts
from mezzotint.export.refusal import ExportRefused

INDEX, CONFIG = "model_index.json", "config.json"
# As many tokens as diffusers gives T5 of Stable Diffusion 3.
T5_TOKENS_MAX = 256
# What a tokenizer without a limit of its own says.
NO_LIMIT = 10**9


@dataclass(frozen=True)
class Text:
    """A tokenizer and its text encoder: the ends of their folders' names, and the most tokens of a text."""

    suffix: str
    tokens: int

    @property
    def encoder(self) -> str:
        """The text encoder's folder."""
        return f"text_encoder{self.suffix}"

    @property
    def tokenizer(self) -> str:
        """The tokenizer's folder."""
        return f"tokenizer{self.suffix}"


class Source:
    """A folder in the diffusers layout. Everything raises ExportRefused, naming the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = self.json(INDEX)
        self.pipeline = str(self.index.get("_class_name"))
        if self.pipeline not in PARTS:
            raise ExportRefused(f"{INDEX}: {self.pipeline} cannot be exported; {', '.join(PARTS)} can")
        self.texts = [Text(suffix, self._tokens(suffix)) for suffix in ("", "_2", "_3") if self.has(f"text_encoder{suffix}")]
        if not self.texts:
            raise ExportRefused(f"text_encoder/{CONFIG} is missing")

    def has(self, part: str) -> bool:
        """Whether a part is there."""
        return (self.folder / part / CONFIG).is_file()

    def json(self, file: str) -> dict[str, Any]:
        """A JSON object of the folder."""
        try:
            found = json.loads((self.folder / file).read_text())
        except (OSError, ValueError) as error:
            raise ExportRefused(f"{file}: it cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise ExportRefused(f"{file}: it must hold a JSON object")
        return found

    def parts(self) -> Iterator[Part]:
        """The parts, each loaded when it is asked for: a pipeline need not fit into memory whole."""
        yield from PARTS[self.pipeline](self)

    def tokenizer(self, text: Text) -> Any:
        """A tokenizer of the transformers library with one of the tokenizers library inside."""
        try:
            found = AutoTokenizer.from_pretrained(self.folder / text.tokenizer, local_files_only=True)
        except Exception as error:
            raise ExportRefused(f"{text.tokenizer}: it cannot be loaded: {error}") from error
        if not hasattr(found, "backend_tokenizer"):
            raise ExportRefused(f"{text.tokenizer}: it has no form for the tokenizers library")
        return found

    def load(self, cls: Any, part: str) -> Any:
        """A part's module in float32, its weights all numbers."""
        if not self.has(part):
            raise ExportRefused(f"{part}/{CONFIG} is missing")
        try:
            # Without it diffusers asks for another package, which saves memory on machines that lack it.
            plain = {"low_cpu_mem_usage": False, "torch_dtype": torch.float32}
            others = {"dtype": torch.float32}
            options = plain if cls.__module__.startswith("diffusers.") else others
            module = cls.from_pretrained(self.folder / part, local_files_only=True, **options)
        except Exception as error:
            raise ExportRefused(f"{part}: it cannot be loaded: {str(error).splitlines()[0]}") from error
        for name, weight in module.named_parameters():
            if not bool(torch.isfinite(weight).all()):
                raise ExportRefused(f"{part}: the weights {name} hold values that are not numbers")
        return module

    def _tokens(self, suffix: str) -> int:
        """The most tokens of a text: the tokenizer's limit and the encoder's, whichever is less."""
        own = self.json(f"tokenizer{suffix}/tokenizer_config.json").get("model_max_length", NO_LIMIT)
        positions = self.json(f"text_encoder{suffix}/{CONFIG}").get("max_position_embeddings", T5_TOKENS_MAX)
        return int(min(own, positions))


def _clip(source: Source, text: Text, *, projected: bool) -> Part:
    cls = CLIPTextModelWithProjection if projected else CLIPTextModel
    return clip_part(text.encoder, source.load(cls, text.encoder), text.tokens, projected=projected)


def _stable_diffusion(source: Source) -> Iterator[Part]:
    (text,) = source.texts
    config = source.json(f"unet/{CONFIG}")
    yield _clip(source, text, projected=False)
    yield unet_part(source.load(UNet2DConditionModel, "unet"), Layout(text.tokens, config["cross_attention_dim"]), added=False)
    yield from vae_parts(source.load(AutoencoderKL, "vae"))


def _stable_diffusion_xl(source: Source) -> Iterator[Part]:
    first, second = source.texts
    config, pooled = source.json(f"unet/{CONFIG}"), source.json(f"{second.encoder}/{CONFIG}")["projection_dim"]
    yield _clip(source, first, projected=False)
    yield _clip(source, second, projected=True)
    layout = Layout(first.tokens, config["cross_attention_dim"], pooled)
    yield unet_part(source.load(UNet2DConditionModel, "unet"), layout, added=True)
    yield from vae_parts(source.load(AutoencoderKL, "vae"))


def _stable_diffusion_3(source: Source) -> Iterator[Part]:
    first, second, *t5 = source.texts
    config = source.json(f"transformer/{CONFIG}")
    for text in (first, second):
        yield _clip(source, text, projected=True)
    for text in t5:
        yield t5_part(text.encoder, source.load(T5EncoderModel, text.encoder), text.tokens)
    tokens = first.tokens + (t5[0].tokens if t5 else first.tokens)
    layout = Layout(tokens, config["joint_attention_dim"], config["pooled_projection_dim"])
    yield sd3_part(source.load(SD3Transformer2DModel, "transformer"), layout)
    yield from vae_parts(source.load(AutoencoderKL, "vae"))


PARTS: dict[str, Callable[[Source], Iterator[Part]]] = {
    "StableDiffusionPipeline": _stable_diffusion,
    "StableDiffusionXLPipeline": _stable_diffusion_xl,
    "StableDiffusion3Pipeline": _stable_diffusion_3,
}
