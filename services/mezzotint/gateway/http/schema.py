"""The body of POST /v1/images/generations, and what it asks of the engine."""

import json
import re
from typing import Any, ClassVar, Literal, TypeVar

import pydantic
from pydantic import ConfigDict, Field

from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.gateway.http.errors import HttpError
from mezzotint.runtime.errors import FieldInvalid

IMAGES_MAX = 10
PARTIAL_IMAGES_MAX = 3
SIZE = re.compile(r"^(\d{1,4})x(\d{1,4})$")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
NAME_LENGTH_MAX = 64
FORMATS = {
    "png": generation_pb2.IMAGE_FORMAT_PNG,
    "jpeg": generation_pb2.IMAGE_FORMAT_JPEG,
    "webp": generation_pb2.IMAGE_FORMAT_WEBP,
}
Format = Literal["png", "jpeg", "webp"]
Scheduler = Literal["flow_match_euler", "euler", "euler_ancestral", "dpmpp_2m", "ddim", "lcm"]


class ImageRequest(pydantic.BaseModel):
    """As the OpenAI Images API has it, with `negative_prompt`, `seed`, `steps`, `guidance` and `scheduler` besides."""

    model_config = ConfigDict(strict=True, extra="forbid")

    prompt: str = Field(description="What is to be seen: 1 to 4,000 characters.")
    model: str | None = Field(default=None, description="One of GET /v1/models; absent: the server's default.")
    n: int | None = Field(default=None, ge=1, le=IMAGES_MAX, description="Pictures.")
    size: str | None = Field(default=None, description="`WIDTHxHEIGHT` in pixels, or `auto`.")
    output_format: Format | None = Field(default=None, description="How pictures are encoded.")
    background: Literal["transparent", "opaque", "auto"] | None = Field(
        default=None, description="`auto` is `transparent` where possible."
    )
    stream: bool | None = Field(default=None, description="Answer with server-sent events.")
    partial_images: int | None = Field(
        default=None, ge=0, le=PARTIAL_IMAGES_MAX, description="Previews of each picture; with `stream`."
    )
    response_format: Literal["url", "b64_json"] | None = Field(default=None, description="Absent: `b64_json`.")
    negative_prompt: str | None = Field(default=None, description="What is not to be seen.")
    seed: int | None = Field(default=None, ge=0, le=2**53 - 1, description="The same seed gives the same picture.")
    steps: int | None = Field(default=None, ge=1, le=100, description="Denoising steps.")
    guidance: float | None = Field(
        default=None, ge=1, le=30, allow_inf_nan=False, description="How closely the prompt is followed."
    )
    scheduler: Scheduler | None = Field(default=None, description="How pictures are drawn; absent: the model's own way.")
    quality: str | None = Field(default=None, description="Accepted; `steps` is what decides here.")
    moderation: str | None = Field(default=None, description="Accepted; nothing is moderated here.")
    style: str | None = Field(default=None, description="Accepted; the prompt is what decides here.")
    user: str | None = Field(default=None, description="Accepted; the credential is what decides here.")
    output_compression: int | None = Field(default=None, ge=0, le=100, description="Accepted; the engine decides.")

    event: ClassVar[str] = "image_generation"
    """How the events of a stream begin."""

    @property
    def format(self) -> Format:
        """How pictures are encoded."""
        return self.output_format or "png"

    @property
    def opaque(self) -> bool:
        """Pictures have no transparency."""
        return self.background == "opaque" or self.format == "jpeg"


Asked = TypeVar("Asked", bound=ImageRequest)


def parsed(body: bytes) -> ImageRequest:
    """The request in `body`. Raises HttpError (400) naming the parameter at fault."""
    return checked(ImageRequest, decoded(body))


def checked(kind: type[Asked], value: Any) -> Asked:
    """A request of a kind. Raises HttpError (400) naming the parameter at fault."""
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"])[:NAME_LENGTH_MAX] or None
        if first["type"] == "extra_forbidden":
            raise HttpError(400, f"Unknown parameter: {param!r}.", code="unknown_parameter", param=param) from None
        if first["type"] == "missing":
            raise HttpError(
                400, f"Missing required parameter: {param!r}.", code="missing_required_parameter", param=param
            ) from None
        code = "invalid_type" if first["type"].endswith("_type") else "invalid_value"
        raise HttpError(400, f"{param or 'body'}: {first['msg']}.", code=code, param=param) from None


def decoded(body: bytes) -> Any:
    """The JSON value in `body`. Raises HttpError (400)."""
    try:
        text = body.decode()
        value = json.loads(text)
        # JSON can spell halves of characters, which are no text to anybody else.
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeDecodeError as error:
        raise HttpError(400, f"The body is not UTF-8: byte {error.start} is wrong.", code="invalid_utf8") from None
    except UnicodeEncodeError:
        raise HttpError(400, r"The body holds half a character (a lone \ud800 to \udfff).", code="invalid_utf8") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "too deep or a number too long"
        raise HttpError(400, f"The body is not JSON: {reason}.", code="invalid_json") from None


def spec_of(request: ImageRequest) -> generation_pb2.GenerationSpec:
    """What is to be drawn. Raises FieldInvalid."""
    if request.background == "transparent" and request.format == "jpeg":
        raise FieldInvalid.of("background", "a JPEG has no transparency; ask for png or webp")
    width, height = size_of(request.size or "auto")
    spec = generation_pb2.GenerationSpec(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or "",
        model=request.model or "",
        width=width,
        height=height,
        images=request.n or 1,
        steps=request.steps or 0,
        format=FORMATS[request.format],
        previews=(request.partial_images or 0) if request.stream else 0,
        opaque=request.opaque,
    )
    if request.seed is not None:
        spec.seed = request.seed
    if request.guidance is not None:
        spec.guidance = request.guidance
    if request.scheduler is not None:
        spec.scheduler = generation_pb2.Scheduler.Value(f"SCHEDULER_{request.scheduler.upper()}")
    return spec


def size_of(size: str) -> tuple[int, int]:
    """Width and height in pixels; 0 and 0 for "auto". Raises FieldInvalid."""
    if size == "auto":
        return 0, 0
    found = SIZE.match(size)
    if not found or not (int(found[1]) and int(found[2])):
        raise FieldInvalid.of("size", f"{size[:32]!r} is neither 'auto' nor WIDTHxHEIGHT in pixels, for example '256x256'")
    return int(found[1]), int(found[2])
