"""Pictures as people send them, good and bad."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gradient(width: int = 256, height: int = 256) -> Image.Image:
    """Colours that tell left from right and top from bottom."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    levels = np.stack([across, down, 255 - across, np.full_like(across, 255)], axis=-1)
    return Image.fromarray(levels.astype(np.uint8))


def right_half(width: int = 256, height: int = 256) -> Image.Image:
    """A mask whose right half is drawn anew."""
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (width // 2, 0, width, height))
    return mask


def bomb(side: int = 50_000) -> bytes:
    """A PNG of a few kilobytes that says it has `side` × `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
