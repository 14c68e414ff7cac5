"""What a model says of itself in its model_index.json and scheduler_config.json."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mezzotint.inference.graphs.files import invalid, read_json
from mezzotint.inference.sampling.prediction import Prediction
from mezzotint.inference.sampling.sampler import Sampler, samplers_of
from mezzotint.inference.sampling.scheduler_config import STEPS_MAX, SchedulerConfig, options_of

INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
PIPELINE = "AquatintPipeline"
# The contract's bound on the sides of a picture, in pixels.
SIDE_MAX = 4096
# Channels of latents that are small pictures: opacity times colour, and opacity.
RGBA = 4
# Usual shapes of pictures, width to height.
SHAPES = ((5, 4), (4, 3), (3, 2), (16, 9))


class SizeRange(BaseModel):
    """Sizes in pixels that a model draws: sides from `side_min` to `side_max`, multiples of `step`; `area_max` in all."""

    model_config = ConfigDict(frozen=True, strict=True)

    step: int = Field(ge=1, le=SIDE_MAX)
    side_min: int = Field(ge=1, le=SIDE_MAX)
    side_max: int = Field(ge=1, le=SIDE_MAX)
    area_max: int = Field(ge=1, le=SIDE_MAX**2)

    def holds(self, width: int, height: int) -> bool:
        """Whether a size is one of them."""
        sides_fit = all(self.side_min <= side <= self.side_max and side % self.step == 0 for side in (width, height))
        return sides_fit and width * height <= self.area_max


class ModelCard(BaseModel):
    """The `_mezzotint` part of model_index.json, and the scheduler's options. Sizes are in latent cells and pixels.

    Of a pipeline of another's, what `_mezzotint` leaves out comes from the parts' configurations (see diffusers_card).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    name: str
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    pipeline: str = PIPELINE
    channels: int = Field(ge=1, le=64)
    latent_size: int = Field(ge=1, le=512)
    image_size: int = Field(ge=8, le=SIDE_MAX)
    scale: int = Field(ge=1, le=64)
    size_range: SizeRange | None = None
    max_tokens: int = Field(ge=1, le=1024)
    zeros_for_empty: bool = False
    encodes: bool = False
    steps_default: int = Field(ge=1, le=STEPS_MAX)
    steps_max: int = Field(ge=1, le=STEPS_MAX)
    guidance_default: float = Field(ge=1, le=30)
    scheduler: SchedulerConfig

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.latent_size * self.scale != self.image_size:
            raise ValueError(f"latent_size {self.latent_size} × scale {self.scale} is not image_size {self.image_size}")
        if self.steps_default > self.steps_max:
            raise ValueError(f"steps_default {self.steps_default} is more than steps_max {self.steps_max}")
        size, whole = self.image_size, self.size_range
        if whole and (whole.step % self.scale or not whole.holds(size, size)):
            raise ValueError(f"size_range does not hold {self.image_size}x{self.image_size}, or its step is not whole cells")
        return self

    @property
    def key(self) -> str:
        """Name and version: "aquatint@1"."""
        return f"{self.name}@{self.version}"

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes it draws, the default first: ("256x256",); of a range those of usual shapes near the default in area."""
        found = [(self.image_size, self.image_size)]
        whole = self.size_range or SizeRange(step=1, side_min=1, side_max=1, area_max=1)
        for wide, high in SHAPES if self.size_range else ():
            longer = self.image_size * (wide / high) ** 0.5
            size = tuple(round(side / whole.step) * whole.step for side in (longer, longer * high / wide))
            found += [each for each in (size, size[::-1]) if whole.holds(*each)]
        return tuple(f"{width}x{height}" for width, height in dict.fromkeys(found))

    def draws(self, width: int, height: int) -> bool:
        """Whether it draws pictures of this size, in pixels."""
        whole = self.size_range
        return width == height == self.image_size or (whole is not None and whole.holds(width, height))

    def latent_of(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents of a picture of this size, in pixels: (C, H, W)."""
        return (self.channels, height // self.scale, width // self.scale)

    @property
    def prediction(self) -> Prediction:
        """What the model predicts: "flow_prediction", "epsilon", "v_prediction" or "sample"."""
        return self.scheduler.prediction_type

    @property
    def takes_images(self) -> bool:
        """Whether it can encode a picture: by a graph, or where latents are small pictures with opacity, by shrinking it."""
        return self.encodes or (self.pipeline == PIPELINE and self.channels == RGBA)

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """The methods it can be drawn by; the first is its own."""
        return samplers_of(self.scheduler)

    @property
    def latent(self) -> tuple[int, int, int]:
        """The shape of one picture's latents at the default size: (C, H, W)."""
        return self.latent_of(self.image_size, self.image_size)


def read_scheduler(folder: Path) -> SchedulerConfig:
    """The scheduler's options of a model folder. Raises ModelInvalid naming the option that cannot be served."""
    try:
        return SchedulerConfig.model_validate(options_of(read_json(folder, SCHEDULER)))
    except ValidationError as error:
        raise invalid(SCHEDULER, first_of(error)) from error
    except ValueError as error:
        raise invalid(SCHEDULER, str(error)) from error


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, with the name of its field."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else first["msg"]
