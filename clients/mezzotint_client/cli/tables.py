"""Lists as people and scripts read them: aligned columns, nothing cut off."""

from collections.abc import Iterable, Sequence

import click


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings. Long lines stay whole: cut identifiers are of no use."""
    lines = [list(headings), *([printable(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """A text without what would move the cursor or change colours."""
    return "".join(character if character.isprintable() else "?" for character in text)
