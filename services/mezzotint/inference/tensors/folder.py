"""The repository of tensor models on disk. All of it blocks."""

import re
from pathlib import Path

from mezzotint.inference.graphs.files import invalid
from mezzotint.inference.graphs.memory import Hold, Memory
from mezzotint.inference.tensors.model import FILE, TensorModel
from mezzotint.inference.tensors.model_settings import read_settings
from mezzotint.inference.tensors.telling import named, quoted
from mezzotint.runtime.errors import ModelNotFound

# Names of models; other folders are not models.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Versions are counted from 1 and written plainly, so that each has one name.
VERSION = re.compile(r"[1-9][0-9]{0,8}")


def names(folder: Path | None) -> list[str]:
    """The models of the folder."""
    return sorted(versions_of_all(folder))


def versions_of_all(folder: Path | None) -> dict[str, list[int]]:
    """The versions of every model of the folder, oldest first."""
    if folder is None:
        return {}
    try:
        found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return {}
    return {path.name: versions(path) for path in found}


def versions(model: Path) -> list[int]:
    """The versions in a model's folder, oldest first."""
    try:
        return sorted(int(path.name) for path in model.iterdir() if VERSION.fullmatch(path.name) and path.is_dir())
    except OSError:
        return []


def open_model(folder: Path | None, name: str, memory: Memory) -> tuple[list[TensorModel], Hold]:
    """The newest versions of a model, as many as its settings say, opened, and the memory held for them.

    Raises ModelNotFound, ModelInvalid, LimitReached; nothing is held then.
    """
    if folder is None:
        raise ModelNotFound("this server has no folder of tensor models; set MEZZOTINT_INFERENCE_TENSOR_MODELS")
    if name not in (found := names(folder)):
        listed = named(found)
        raise ModelNotFound(
            f"no tensor model's folder is named {quoted(name)}; there are: {listed or 'none'}", metadata={"models": listed}
        )
    model = folder / name
    settings = read_settings(model)
    chosen = versions(model)[-settings.versions :]
    if not chosen:
        raise invalid(name, f"it has no version; put the graph into {name}/1/{FILE}")
    with memory.loading(name, sum(_bytes(model / str(version)) for version in chosen)) as hold:
        return [TensorModel(model, version, settings) for version in chosen], hold


def version_of(written: str) -> int:
    """A version's number; 0, which no version has, for what is none."""
    return int(written) if VERSION.fullmatch(written) else 0


def _bytes(version: Path) -> int:
    """The bytes of a version's files: weights may stand beside the graph under any name."""
    try:
        return sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    except OSError as error:
        raise invalid(version.name, f"it cannot be read: {error.strerror}") from error
