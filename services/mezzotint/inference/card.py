"""What a model says of itself in its model_index.json and scheduler_config.json."""

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mezzotint.inference.sampling.prediction import Prediction
from mezzotint.inference.sampling.sampler import Sampler, samplers_of
from mezzotint.inference.sampling.scheduler_config import STEPS_MAX, SchedulerConfig, options_of
from mezzotint.runtime.errors import ModelInvalid

INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
PIPELINE = "AquatintPipeline"
# Larger JSON files than this are not read.
JSON_BYTES_MAX = 1024 * 1024


class ModelCard(BaseModel):
    """The `_mezzotint` part of model_index.json, and the scheduler's options. Sizes are in latent cells and pixels."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    name: str
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    channels: int = Field(ge=1, le=64)
    latent_size: int = Field(ge=1, le=512)
    image_size: int = Field(ge=8, le=4096)
    scale: int = Field(ge=1, le=64)
    max_tokens: int = Field(ge=1, le=1024)
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
        return self

    @property
    def key(self) -> str:
        """Name and version: "aquatint@1"."""
        return f"{self.name}@{self.version}"

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes it draws: ("256x256",)."""
        return (f"{self.image_size}x{self.image_size}",)

    @property
    def prediction(self) -> Prediction:
        """What the model predicts: "flow_prediction", "epsilon", "v_prediction" or "sample"."""
        return self.scheduler.prediction_type

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """The methods it can be drawn by; the first is its own."""
        return samplers_of(self.scheduler)

    @property
    def latent(self) -> tuple[int, int, int]:
        """The shape of one picture's latents: (C, H, W)."""
        return (self.channels, self.latent_size, self.latent_size)


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder. Raises ModelInvalid naming the file and what is wrong in it."""
    index = read_json(folder, INDEX)
    expect(index, "_class_name", PIPELINE, INDEX)
    scheduler = read_scheduler(folder)
    own = index.get("_mezzotint")
    if not isinstance(own, dict):
        raise invalid(INDEX, "the object _mezzotint is missing")
    if own.get("name") != folder.name:
        raise invalid(INDEX, f"_mezzotint.name is {own.get('name')!r}; it must be the folder's name, {folder.name!r}")
    try:
        return ModelCard.model_validate({**own, "scheduler": scheduler})
    except ValidationError as error:
        raise invalid(INDEX, f"_mezzotint: {first_of(error)}") from error


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


def read_json(folder: Path, file: str) -> dict[str, Any]:
    """A JSON object of a model folder. Raises ModelInvalid."""
    content = readable(folder, file).read_bytes()
    if len(content) > JSON_BYTES_MAX:
        raise invalid(file, f"it has {len(content)} bytes; {JSON_BYTES_MAX} at most are read")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise invalid(file, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise invalid(file, "it must hold a JSON object")
    return value


def readable(folder: Path, file: str) -> Path:
    """The path of a file that is there and not empty. Raises ModelInvalid."""
    path = folder / file
    try:
        if path.is_file() and path.stat().st_size:
            path.open("rb").close()
            return path
    except OSError as error:
        raise invalid(file, f"it cannot be read: {error.strerror}") from error
    raise invalid(file, "it is empty" if path.is_file() else "it is missing")


def expect(content: dict[str, Any], field: str, value: str, file: str) -> None:
    """Raise ModelInvalid unless a field has the one value that is served."""
    if content.get(field) != value:
        raise invalid(file, f"{field} is {content.get(field)!r}; {value!r} is what can be served")


def invalid(file: str, why: str) -> ModelInvalid:
    """The error of a folder that cannot be served: which file, and what is wrong with it."""
    return ModelInvalid(f"{file}: {why}", metadata={"file": file})
