"""Files of a model's folder; one that cannot be used is refused with its name."""

import json
from pathlib import Path
from typing import Any

from mezzotint.runtime.errors import ModelInvalid

# Larger JSON files than this are not read.
JSON_BYTES_MAX = 1024 * 1024


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


def invalid(file: str, why: str) -> ModelInvalid:
    """The error of a folder that cannot be served: which file, and what is wrong with it."""
    return ModelInvalid(f"{file}: {why}", metadata={"file": file})
