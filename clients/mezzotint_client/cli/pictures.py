"""Pictures as files: what they are called, and that none is overwritten unasked."""

import re
from collections.abc import Iterable
from pathlib import Path

from mezzotint_client.events import Picture

FOLDER = Path("out")
SLUG_LENGTH_MAX = 60


def save_pictures(pictures: Iterable[Picture], out: Path | None, name: str) -> list[Path]:
    """Write pictures and give their paths.

    `out` is a folder, or a file's name, to which several pictures add their number and which replaces what was there. Without
    it they go to the folder `out` of the working directory under a name made of `name` that is not taken.
    """
    found = list(pictures)
    paths = [path_of(picture, out, name, len(found)) for picture in found]
    for picture, path in zip(found, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return paths


def path_of(picture: Picture, out: Path | None, name: str, count: int) -> Path:
    """Where a picture goes."""
    number = f"-{picture.index}" if count > 1 else ""
    if out is not None and not out.is_dir() and out.suffix:
        return out.with_name(f"{out.stem}{number}{out.suffix}")
    stem = f"{slug(name)}{number}"
    folder, suffix = out or FOLDER, "jpg" if picture.format == "jpeg" else picture.format
    candidate, copy = folder / f"{stem}.{suffix}", 2
    while candidate.exists():
        candidate, copy = folder / f"{stem}-{copy}.{suffix}", copy + 1
    return candidate


def slug(text: str) -> str:
    """A file name of letters, digits and hyphens, made of a text: "A red heart!" gives "a-red-heart"."""
    words = re.findall(r"\w+", text.lower())
    return "-".join(words)[:SLUG_LENGTH_MAX].strip("-") or "picture"
