"""Where a model is in the folder of models: a folder of its name, or the highest number in it where that has versions."""

import re
from dataclasses import dataclass
from pathlib import Path

from mezzotint.inference.models.card import INDEX

# The contract's rule for names of models; other folders are not models. Numbers alone are versions.
NAME = re.compile(r"(?!\d+$)[a-z0-9][a-z0-9._-]{0,63}")
VERSION = re.compile(r"[1-9]\d{0,8}")


@dataclass(frozen=True)
class Place:
    """A model's folder, and what tells whether it changed: path, size and time of each of its files."""

    folder: Path
    files: tuple[tuple[str, int, int], ...]


def names(models: Path) -> set[str]:
    """The folders that claim to be models. Reads the disk."""
    try:
        found = {path.parent.name for path in models.glob(f"*/{INDEX}")}
        found |= {path.parent.parent.name for path in models.glob(f"*/*/{INDEX}") if VERSION.fullmatch(path.parent.name)}
    except OSError:
        return set()
    return {name for name in found if NAME.fullmatch(name)}


def folder_of(models: Path, name: str) -> Path:
    """The folder that a model is loaded from; it need not be there. Reads the disk."""
    flat = models / name
    if (flat / INDEX).is_file():
        return flat
    versions = [int(path.parent.name) for path in flat.glob(f"*/{INDEX}") if VERSION.fullmatch(path.parent.name)]
    return flat / str(max(versions)) if versions else flat


def place_of(models: Path, name: str) -> Place:
    """Where a model is and how it is there now. Reads the disk; raises OSError."""
    folder = folder_of(models, name)
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found = path.stat()
            files.append((str(path.relative_to(folder)), found.st_size, found.st_mtime_ns))
    return Place(folder, tuple(files))
