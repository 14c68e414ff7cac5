"""What the HTTP door answers: OpenAI's objects, made of finished pictures and previews."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.gateway.http.schema import ImageRequest

MEDIA_TYPES = {
    generation_pb2.IMAGE_FORMAT_PNG: "image/png",
    generation_pb2.IMAGE_FORMAT_JPEG: "image/jpeg",
    generation_pb2.IMAGE_FORMAT_WEBP: "image/webp",
}
PNG_HEADER = struct.Struct(">8s4x4sII")


def images_response(
    request: ImageRequest, images: Sequence[images_pb2.FinishedImage], steps: int, *, created: int, urls: Sequence[str]
) -> dict[str, Any]:
    """The answer of a request without `stream`: pictures by `urls` when there are any, else in base64."""
    data = [{"url": url} for url in urls] if urls else [{"b64_json": base64.b64encode(image.data).decode()} for image in images]
    return {
        "created": created,
        "data": data,
        **described(request, images[0].ref if images else None),
        "usage": usage(len(images), steps),
    }


def completed(request: ImageRequest, image: images_pb2.FinishedImage, steps: int, *, created: int) -> dict[str, Any]:
    """The event of one finished picture."""
    return {
        "type": f"{request.event}.completed",
        "b64_json": base64.b64encode(image.data).decode(),
        "created_at": created,
        **described(request, image.ref),
        "usage": usage(1, steps),
    }


def partial(request: ImageRequest, preview: bytes, index: int, *, created: int) -> dict[str, Any]:
    """The event of one preview. It is a small PNG whatever the finished picture will be, and says so."""
    magic, chunk, width, height = PNG_HEADER.unpack_from(preview.ljust(PNG_HEADER.size, b"\0"))
    is_png = magic == b"\x89PNG\r\n\x1a\n" and chunk == b"IHDR"
    return {
        "type": f"{request.event}.partial_image",
        "b64_json": base64.b64encode(preview).decode(),
        "partial_image_index": index,
        "created_at": created,
        **described(request, None),
        "output_format": "png" if is_png else request.format,
        "size": f"{width}x{height}" if is_png else request.size or "auto",
    }


def described(request: ImageRequest, ref: generation_pb2.ImageRef | None) -> dict[str, Any]:
    """What OpenAI's answers say of a picture."""
    return {
        "background": "opaque" if request.opaque else "transparent",
        "output_format": request.format,
        "quality": request.quality or "auto",
        "size": f"{ref.width}x{ref.height}" if ref else request.size or "auto",
    }


def usage(images: int, steps: int) -> dict[str, Any]:
    """Tokens are not what is counted here, so they are 0; pictures and denoising steps are, and stand besides."""
    return {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
        "images": images,
        "steps": images * steps,
    }


def event(data: dict[str, Any], name: str) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def comment(text: str) -> bytes:
    """A line that clients skip; it keeps the connection from looking dead."""
    return f": {text}\n\n".encode()
