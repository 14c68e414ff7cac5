"""`mezzotint generate`: pictures from a gateway that runs."""

from pathlib import Path
from typing import Any

import click

from mezzotint_client.cli.connection import Connection, connected
from mezzotint_client.cli.drawing import draw, drawing_options
from mezzotint_client.cli.failures import run


@click.command(short_help="Draw pictures.")
@click.argument("prompt")
@drawing_options
@connected
def generate(connection: Connection, prompt: str, out: Path | None, **options: Any) -> None:
    """Draw what PROMPT says, write it to a file, and print the file's name."""

    async def draw_once() -> list[Path]:
        async with connection.signed_client() as client:
            return await draw(client, prompt, out, options)

    for path in run(draw_once()):
        click.echo(path)
