"""Names and shapes as callers are told them: cut, since an answer whose status is longer than 8 KiB reaches nobody."""

from collections.abc import Sequence

# More names are counted and not told.
NAMES_MAX = 16
CHARACTERS_MAX = 100
DIMENSIONS_MAX = 16


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(cut(each) for each in names[:NAMES_MAX]) + more


def quoted(text: str) -> str:
    """What a caller wrote, in quotes."""
    return repr(text) if len(text) <= CHARACTERS_MAX else f"{text[:CHARACTERS_MAX]!r}… ({len(text):,} characters)"


def dimensions(shape: Sequence[int]) -> str:
    """The first dimensions of a shape, and how many there are."""
    more = f" and {len(shape) - DIMENSIONS_MAX} more" if len(shape) > DIMENSIONS_MAX else ""
    return f"{list(shape[:DIMENSIONS_MAX])}{more}"


def cut(text: str, characters_max: int = CHARACTERS_MAX) -> str:
    """The beginning of a text."""
    return text if len(text) <= characters_max else f"{text[:characters_max]}… ({len(text):,} characters)"
