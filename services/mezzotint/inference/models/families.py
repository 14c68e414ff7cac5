"""The families of models that can be served, as what differs between them: text encoders, and the denoiser's names and inputs.

Everything else is the same for all, so a family is a row of this table and not a class.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Hidden(Enum):
    """Which hidden states of a text encoder the denoiser reads."""

    LAST = auto()
    PENULTIMATE = auto()
    # Appended along the tokens, where the others lie side by side.
    APPENDED = auto()


@dataclass(frozen=True)
class TextSource:
    """A tokenizer and a text encoder: the end of their folders' names, what is read of them, and the pooled output if any."""

    suffix: str
    hidden: Hidden
    pooled: str = ""
    optional: bool = False

    @property
    def folder(self) -> str:
        """The text encoder's folder."""
        return f"text_encoder{self.suffix}"

    @property
    def tokenizer(self) -> str:
        """The tokenizer's folder."""
        return f"tokenizer{self.suffix}"


@dataclass(frozen=True)
class Family:
    """One class of pipelines: its texts, the denoiser's folder and names of inputs ("" where it has none) and output.

    `channels` of its pixels: 3, or 4 with opacity.
    """

    texts: tuple[TextSource, ...]
    pooled: str
    folder: str = "unet"
    sample: str = "sample"
    result: str = "out_sample"
    time_ids: str = ""
    channels: int = 3
    steps_default: int = 30
    guidance_default: float = 7.5


FAMILIES: dict[str, Family] = {
    "AquatintPipeline": Family(
        texts=(TextSource("", Hidden.LAST, "pooler_output"),),
        pooled="text_embeds",
        channels=4,
    ),
    "StableDiffusionPipeline": Family(texts=(TextSource("", Hidden.LAST),), pooled=""),
    "StableDiffusionXLPipeline": Family(
        texts=(TextSource("", Hidden.PENULTIMATE), TextSource("_2", Hidden.PENULTIMATE, "text_embeds")),
        pooled="text_embeds",
        time_ids="time_ids",
        guidance_default=5.0,
    ),
    "StableDiffusion3Pipeline": Family(
        texts=(
            TextSource("", Hidden.PENULTIMATE, "text_embeds"),
            TextSource("_2", Hidden.PENULTIMATE, "text_embeds"),
            TextSource("_3", Hidden.APPENDED, optional=True),
        ),
        pooled="pooled_projections",
        folder="transformer",
        sample="hidden_states",
        result="out_hidden_states",
        steps_default=28,
        guidance_default=7.0,
    ),
}
