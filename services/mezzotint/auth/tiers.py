"""The names of the tiers, from the YAML file that says what they are."""

import re
from pathlib import Path

import yaml

from mezzotint.runtime.errors import FieldInvalid

# Where every new account begins.
FIRST = "free"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def load(path: Path) -> tuple[str, ...]:
    """The tiers in the order of the file. Raises FieldInvalid, naming file and line, or OSError."""
    try:
        root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise invalid(path, mark, f"this is not YAML: {getattr(error, 'problem', None) or error}") from error
    if root is None:
        raise invalid(path, None, "the file is empty; list the tiers under `tiers`")
    tiers = entry(root, "tiers")
    if not isinstance(tiers, yaml.SequenceNode) or not tiers.value:
        raise invalid(path, (tiers or root).start_mark, "`tiers` must be a list with at least one tier")
    names: list[str] = []
    for tier in tiers.value:
        name = entry(tier, "name")
        if not isinstance(name, yaml.ScalarNode) or not NAME.fullmatch(name.value):
            raise invalid(path, (name or tier).start_mark, "a tier needs a `name` of 1 to 64 characters from a-z, 0-9, _ and -")
        if name.value in names:
            raise invalid(path, name.start_mark, f"the tier {name.value!r} is listed twice")
        names.append(name.value)
    if FIRST not in names:
        raise invalid(path, tiers.start_mark, f"the tier {FIRST!r} is missing; new accounts begin in it")
    return tuple(names)


def entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value under `key` of a mapping; None when there is none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def invalid(path: Path, mark: yaml.Mark | None, problem: str) -> FieldInvalid:
    """The error for a place in the file."""
    return FieldInvalid.of(f"{path}, line {mark.line + 1 if mark else 1}", problem)
