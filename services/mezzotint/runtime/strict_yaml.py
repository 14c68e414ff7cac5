"""YAML read node by node, so that every error can name its line and say what to write instead."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import yaml

from mezzotint.runtime.errors import StartRefused

WHOLE = re.compile(r"[0-9](_?[0-9])*")
DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
FILE_BYTES_MAX = 1024 * 1024


class StrictYaml:
    """What one file holds. Every method raises StartRefused with file, line and remedy."""

    def __init__(self, name: str, content: bytes) -> None:
        self._name = name
        self._content = content

    @classmethod
    def read(cls, path: Path, what: str) -> "StrictYaml":
        """The file at `path`; `what` it is, for people: "limits file"."""
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise StartRefused(f"{path}: cannot read the {what}: {error.strerror}") from error
        if len(content) > FILE_BYTES_MAX:
            raise StartRefused(f"{path}: a {what} has at most {FILE_BYTES_MAX} bytes; remove some of it")
        return cls(str(path), content)

    def refuse(self, node: yaml.Node | None, remedy: str) -> NoReturn:
        """The error at a node, or of the file as a whole."""
        place = f"{self._name}:{line(node)}" if node else self._name
        raise StartRefused(f"{place}: {remedy}")

    def top(self) -> yaml.Node:
        """The one document of the file."""
        try:
            node = yaml.compose(self._content, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{self._name}:{mark.line + 1}" if mark else self._name
            raise StartRefused(f"{place}: not YAML: {error.problem}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StartRefused(f"{self._name}: not YAML in UTF-8: {' '.join(str(error).split())}") from error
        except RecursionError as error:
            raise StartRefused(f"{self._name}: nested too deep") from error
        if node is None:
            self.refuse(None, "the file is empty")
        return node

    def mapping(
        self, node: yaml.Node, what: str, *, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The fields of a mapping that has all of `required` and nothing but them and `optional`."""
        fields: dict[str, yaml.Node] = {}
        for key, value in self.pairs(node, what):
            name = str(key.value)
            if name not in required and name not in optional:
                self.refuse(key, f"{what} has no field {name!r}; it has {', '.join([*required, *optional])}")
            fields[name] = value
        if missing := [name for name in required if name not in fields]:
            self.refuse(node, f"{what} lacks {', '.join(missing)}")
        return fields

    def pairs(self, node: yaml.Node, what: str) -> list[tuple[yaml.Node, yaml.Node]]:
        """Keys and values of a mapping, each key a text that comes once."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, f"write a mapping, `key: value`, for {what}")
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(key, f"write a plain word as a key of {what}")
            if key.value in seen:
                self.refuse(key, f"{key.value!r} stands on line {seen[key.value]} already; remove one of them")
            seen[key.value] = line(key)
        return list(node.value)

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The elements of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(node, f"write a list of {what}, or [] for none")
        return list(node.value)

    def word(self, node: yaml.Node, pattern: re.Pattern[str], remedy: str) -> str:
        """A text that matches `pattern` whole."""
        if not isinstance(node, yaml.ScalarNode) or not pattern.fullmatch(node.value):
            self.refuse(node, f"{shown(node)}: write {remedy}")
        return str(node.value)

    def whole(self, node: yaml.Node, largest: int) -> int:
        """A whole number from 1 to `largest`."""
        if (
            not isinstance(node, yaml.ScalarNode)
            or node.style
            or not WHOLE.fullmatch(node.value)
            or len(node.value) > len(f"{largest:_}")
        ):
            self.refuse(node, f"{shown(node)}: write a whole number from 1 to {largest}")
        number = int(node.value)
        if not 1 <= number <= largest:
            self.refuse(node, f"{shown(node)}: write a whole number from 1 to {largest}")
        return number

    def decimal(self, node: yaml.Node, least: float, largest: float) -> float:
        """A number from `least` to `largest`, written plainly: 3, 0.05."""
        plain = isinstance(node, yaml.ScalarNode) and not node.style and DECIMAL.fullmatch(node.value)
        number = float(node.value) if plain else math.nan
        if not least <= number <= largest:
            self.refuse(node, f"{shown(node)}: write a number from {least:g} to {largest:,.15g}")
        return number

    def flag(self, node: yaml.Node) -> bool:
        """true or false."""
        if not isinstance(node, yaml.ScalarNode) or node.style or node.value not in ("true", "false"):
            self.refuse(node, f"{shown(node)}: write true or false")
        return bool(node.value == "true")


def line(node: yaml.Node) -> int:
    """Where a node stands, counted from 1."""
    return int(node.start_mark.line) + 1


def shown(node: yaml.Node) -> str:
    """A node as an error quotes it."""
    return repr(node.value[:64]) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
