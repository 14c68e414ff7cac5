"""compose.yaml, Dockerfile and pyproject.toml, parsed, and the settings that the services have."""

import importlib
import tomllib
from functools import cache
from typing import Any

import yaml

from mezzotint.runtime.settings import ServiceSettings
from tests.tidy.source import ROOT

Tree = dict[str, Any]


@cache
def compose() -> Tree:
    """The whole compose file, anchors and merges resolved."""
    tree: Tree = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return tree


def containers() -> dict[str, Tree]:
    """Every container by its name, those of profiles too."""
    services: dict[str, Tree] = compose()["services"]
    return services


@cache
def project() -> Tree:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, each with what follows it; continued lines are joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def final_stage() -> list[tuple[str, str]]:
    """The instructions after the last FROM, and that FROM."""
    last = max(number for number, (word, _) in enumerate(instructions()) if word == "FROM")
    return instructions()[last:]


def settings_of(service: str) -> type[ServiceSettings]:
    """The settings class of a service."""
    module = importlib.import_module(f"mezzotint.{service}.settings")
    kinds = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, ServiceSettings)]
    [found] = [each for each in kinds if each is not ServiceSettings]
    return found


def mounts(container: Tree) -> dict[str, tuple[str, str]]:
    """What a container mounts: target and mode ("rw" or "ro") by the volume's name."""
    parts = [volume.split(":") for volume in container.get("volumes", [])]
    return {name: (target, mode[0] if mode else "rw") for name, target, *mode in parts}
