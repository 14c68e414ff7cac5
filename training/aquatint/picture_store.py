"""Decode the pictures once, into arrays of straight RGBA bytes: views for the base model, originals for the decoder."""

import io
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from training.aquatint.captions import load_records
from training.aquatint.locations import BASE_FILE, FULL_FILE
from training.aquatint.pictures import FULL_SIZE, Bytes, base_views, premultiply
from training.aquatint.records import picture_folder


def open_picture(path: Path) -> Image.Image:
    """Open a bitmap, or draw a vector picture at twice the full size, to be averaged down."""
    if path.suffix != ".svg":
        return Image.open(path)
    drawn = resvg_py.svg_to_bytes(svg_path=str(path), width=2 * FULL_SIZE, height=2 * FULL_SIZE)
    return Image.open(io.BytesIO(drawn))


def load_pictures(cache_dir: Path, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Return base views (N, VIEWS, 32, 32, 4) and originals (N, 256, 256, 4), decoding them once.

    The order is that of ``load_records``. The originals are memory-mapped.
    """
    base_path, full_path = cache_dir / BASE_FILE, cache_dir / FULL_FILE
    if not (base_path.exists() and full_path.exists()):
        generator = np.random.default_rng(seed)
        base, full = [], []
        for record in load_records(cache_dir):
            opened = open_picture(picture_folder(cache_dir, record.style) / record.file_name)
            original = premultiply(opened).resize((FULL_SIZE, FULL_SIZE), Image.Resampling.LANCZOS)
            base.append(base_views(original, generator))
            full.append(np.asarray(original.convert("RGBA")))
        np.save(base_path, np.stack(base))
        np.save(full_path, np.stack(full))
    return np.load(base_path), np.load(full_path, mmap_mode="r")
