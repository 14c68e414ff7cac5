"""Decode the pictures once, into arrays of straight RGBA bytes: views for the base model, originals for the decoder."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from training.aquatint.captions import load_records
from training.aquatint.fetch import PACKAGES
from training.aquatint.locations import BASE_FILE, FULL_FILE
from training.aquatint.pictures import FULL_SIZE, Bytes, base_views, premultiply
from training.aquatint.records import PictureRecord, picture_folder

STAMP_FILE = "pictures.sha256"


def open_picture(path: Path) -> Image.Image:
    """Open a bitmap, or draw a vector picture at twice the full size, to be averaged down."""
    if path.suffix != ".svg":
        return Image.open(path)
    drawn = resvg_py.svg_to_bytes(svg_path=str(path), width=2 * FULL_SIZE, height=2 * FULL_SIZE)
    return Image.open(io.BytesIO(drawn))


def digest_of(records: Sequence[PictureRecord]) -> str:
    """Return a digest of what the arrays are made from: which pictures of which packages, in which order."""
    made_from = [package.sha256 for package in PACKAGES] + [f"{record.style}/{record.file_name}" for record in records]
    return hashlib.sha256("\n".join(made_from).encode()).hexdigest()


def load_pictures(cache_dir: Path, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Return base views (N, VIEWS, 32, 32, 4) and originals (N, 256, 256, 4), decoding them once.

    The order is that of ``load_records``, and other records make other arrays. The originals are memory-mapped.
    """
    base_path, full_path, stamp = cache_dir / BASE_FILE, cache_dir / FULL_FILE, cache_dir / STAMP_FILE
    records = load_records(cache_dir)
    contents = digest_of(records)
    made = all(path.exists() for path in (base_path, full_path, stamp))
    if not made or stamp.read_text() != contents:
        generator = np.random.default_rng(seed)
        base, full = [], []
        for record in records:
            opened = open_picture(picture_folder(cache_dir, record.style) / record.file_name)
            original = premultiply(opened).resize((FULL_SIZE, FULL_SIZE), Image.Resampling.LANCZOS)
            base.append(base_views(original, generator))
            full.append(np.asarray(original.convert("RGBA")))
        np.save(base_path, np.stack(base))
        np.save(full_path, np.stack(full))
        stamp.write_text(contents)
    return np.load(base_path), np.load(full_path, mmap_mode="r")
