"""The rooms of a service: which may import which, so that each can be read without those above it."""

import re
from collections import Counter
from pathlib import PurePath

from tests.tidy.source import sources

SERVICE = "services/mezzotint/inference/"
# A room may import itself, `metrics`, and the rooms named here; what stands beside the rooms may import all.
MAY_IMPORT = {
    "graphs": set[str](),
    "sampling": set[str](),
    "models": {"graphs", "sampling"},
    "batching": {"models", "sampling"},
    "pictures": {"batching", "models", "sampling"},
    "curves": {"pictures", "batching", "models", "graphs", "sampling"},
    "work": {"pictures", "batching"},
    "tensors": {"graphs"},
    "open_inference": {"tensors"},
}
EVERYWHERE = {"metrics"}
MODULES_MAX, MODULES_BESIDE_MAX = 18, 8


def room_of(path: str) -> str:
    """The room a file of the service is in; nothing for one beside them."""
    parts = PurePath(path.removeprefix(SERVICE)).parts
    return parts[0] if len(parts) > 1 else ""


def test_rooms_import_only_what_is_below_them() -> None:
    """Ensures that what draws can be understood from the ground up, and that no two rooms need each other."""
    wrong = [
        f"{source.path} imports {name}"
        for source in sources()
        if source.path.startswith(SERVICE) and (room := room_of(source.path))
        for name in source.imports()
        if (match := re.match(r"mezzotint\.inference\.(\w+)", name)) and match[1] not in MAY_IMPORT[room] | EVERYWHERE | {room}
    ]
    assert not wrong, "move what is needed to the room below, or pass it in from app.py"


def test_rooms_stay_small_and_say_what_they_hold() -> None:
    """Ensures that a newcomer finds few names in each place, and in each room a sentence about it."""
    here = [source for source in sources() if source.path.startswith(SERVICE)]
    modules = Counter(room_of(source.path) for source in here if not source.path.endswith("__init__.py"))
    assert modules.pop("") <= MODULES_BESIDE_MAX
    assert modules.keys() == MAY_IMPORT.keys(), "name the room here, with what it may import"
    assert max(modules.values()) <= MODULES_MAX, "split the room"
    silent = [source.path for source in here if source.path.endswith("__init__.py") and "mports" not in source.text]
    assert not silent, "say in its docstring what the room holds and what it imports"
