"""What is told of a painting under way."""

from dataclasses import dataclass

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, ImageRef


@dataclass(frozen=True)
class Started:
    """The first picture has a slot: what will be drawn, every default filled in."""

    spec: GenerationSpec


@dataclass(frozen=True)
class Progress:
    """A picture moved on; `preview` is a small PNG, or empty. A slow reader gets only the latest of those without a preview."""

    image_index: int
    step: int
    steps: int
    preview: bytes = b""


@dataclass(frozen=True)
class Drawn:
    """A picture is done: encoded, and what it is (without a key)."""

    image_index: int
    data: bytes
    ref: ImageRef


Event = Started | Progress | Drawn
