"""How a picture is to be drawn, as keyword arguments, and as the contract's message."""

import re
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.runtime.errors import FieldInvalid

FORMATS = {
    "png": generation_pb2.IMAGE_FORMAT_PNG,
    "jpeg": generation_pb2.IMAGE_FORMAT_JPEG,
    "webp": generation_pb2.IMAGE_FORMAT_WEBP,
}
# The contract's bound on a picture that comes with a request.
INPUT_BYTES_MAX = 8 * 1024 * 1024

Scheduler = Literal["flow_match_euler", "euler", "euler_ancestral", "dpmpp_2m", "ddim", "lcm"]
SCHEDULERS = {
    "flow_match_euler": generation_pb2.SCHEDULER_FLOW_MATCH_EULER,
    "euler": generation_pb2.SCHEDULER_EULER,
    "euler_ancestral": generation_pb2.SCHEDULER_EULER_ANCESTRAL,
    "dpmpp_2m": generation_pb2.SCHEDULER_DPMPP_2M,
    "ddim": generation_pb2.SCHEDULER_DDIM,
    "lcm": generation_pb2.SCHEDULER_LCM,
}


class Options(TypedDict, total=False):
    """What may be said besides the prompt. What is left out, the server decides."""

    negative_prompt: str
    """What is not to be seen."""
    model: str
    """The model's name."""
    size: str | tuple[int, int]
    """Width and height in pixels: "256x256" or (256, 256)."""
    images: int
    """How many pictures, 1 to 10; the i-th is drawn with seed + i."""
    steps: int
    """Denoising steps, 1 to 100."""
    guidance: float
    """How closely the prompt is followed, 1 to 30."""
    seed: int
    """The same seed gives the same picture; 0 to 2^53 - 1."""
    format: Literal["png", "jpeg", "webp"]
    """How the pictures are encoded."""
    previews: int
    """Previews on the way, 0 to 10."""
    opaque: bool
    """Draw on white instead of leaving the background transparent."""
    image: bytes | Path
    """A picture to begin from, or its file: PNG, JPEG or WebP of at most 8 MiB. With it the prompt may be empty."""
    mask: bytes | Path
    """What of the image is to be drawn anew: white in a picture of its size."""
    strength: float
    """How far from the image, above 0 and up to 1."""
    scheduler: Scheduler
    """How the picture is drawn, if the model's own way is not wanted."""


def spec(prompt: str, **options: Unpack[Options]) -> generation_pb2.GenerationSpec:
    """The contract's message. Raises FieldInvalid for what the message cannot hold; the server checks the rest."""
    width, height = parse_size(options.get("size", (0, 0)))
    encoding = options.get("format", "png")
    if encoding not in FORMATS:
        raise FieldInvalid.of("spec.format", f"{encoding!r} is none of {', '.join(FORMATS)}")
    scheduler = options.get("scheduler")
    if scheduler is not None and scheduler not in SCHEDULERS:
        raise FieldInvalid.of("spec.scheduler", f"{scheduler!r} is none of {', '.join(SCHEDULERS)}")
    try:
        made = generation_pb2.GenerationSpec(
            prompt=prompt,
            negative_prompt=options.get("negative_prompt", ""),
            model=options.get("model", ""),
            width=width,
            height=height,
            images=options.get("images", 0),
            steps=options.get("steps", 0),
            guidance=options.get("guidance"),
            seed=options.get("seed"),
            format=FORMATS[encoding],
            previews=options.get("previews", 0),
            opaque=options.get("opaque", False),
            strength=options.get("strength"),
            scheduler=SCHEDULERS[scheduler] if scheduler else generation_pb2.SCHEDULER_UNSPECIFIED,
        )
        if "image" in options:
            made.image.data = content_of(options["image"], "spec.image")
        if "mask" in options:
            made.mask.data = content_of(options["mask"], "spec.mask")
        return made
    except (ValueError, UnicodeError) as error:
        raise FieldInvalid.of("spec", f"a value is out of range or no text: {error}") from error


def content_of(picture: bytes | Path, field: str) -> bytes:
    """The bytes of a picture that may be named by its file. Raises FieldInvalid when they are too many, OSError."""
    size = len(picture) if isinstance(picture, bytes) else picture.stat().st_size
    if size > INPUT_BYTES_MAX:
        raise FieldInvalid.of(field, f"it has {size} bytes; {INPUT_BYTES_MAX} at most are taken")
    return picture if isinstance(picture, bytes) else picture.read_bytes()


def parse_size(size: str | tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels. Raises FieldInvalid unless it reads like "256x256"."""
    if isinstance(size, tuple):
        return size
    found = re.fullmatch(r"(\d{1,4})[x×](\d{1,4})", size.strip(), re.IGNORECASE)
    if found is None:
        raise FieldInvalid.of("spec.size", f"{size!r} is no size; write WIDTHxHEIGHT in pixels, for example 256x256")
    return int(found[1]), int(found[2])
