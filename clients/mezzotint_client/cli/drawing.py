"""Drawing from the command line: options as people write them, the display, the files."""

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mezzotint_client.cli.pictures import save_pictures
from mezzotint_client.cli.progress import display
from mezzotint_client.client import Client
from mezzotint_client.events import Picture
from mezzotint_client.options import SCHEDULERS, Options

# Enough to see the picture come out of the noise.
PREVIEWS = 8

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OPTIONS = (
    click.option("--out", type=click.Path(path_type=Path), help="A file, or a folder.  [default: out/PROMPT.png]"),
    click.option("--size", metavar="WIDTHxHEIGHT", help="In pixels.  [default: the model's]"),
    click.option("--steps", type=click.IntRange(1, 100), help="Denoising steps.  [default: the model's]"),
    click.option("--seed", type=click.IntRange(0, 2**53 - 1), help="The same seed gives the same picture."),
    click.option("--images", type=click.IntRange(1, 10), help="How many pictures.  [default: 1]"),
    click.option("--guidance", type=click.FloatRange(1, 30), help="How closely the prompt is followed."),
    click.option("--negative", "negative_prompt", help="What is not to be seen."),
    click.option("--model", help="The model.  [default: the server's]"),
    click.option("--scheduler", type=click.Choice(list(SCHEDULERS)), help="How pictures are drawn.  [default: the model's]"),
    click.option("--format", type=click.Choice(["png", "jpeg", "webp"]), help="How pictures are encoded.  [default: png]"),
    click.option("--opaque", is_flag=True, default=None, help="Draw on white instead of leaving the background transparent."),
    click.option("--image", type=FILE, help="A picture to begin from: PNG, JPEG or WebP. PROMPT may be empty then."),
    click.option("--mask", type=FILE, help="What of the image to draw anew: white, in a picture of its size."),
    click.option(
        "--strength",
        type=click.FloatRange(0, 1, min_open=True),
        help="How far from the image.  [default: 0.6, with a mask 1, without PROMPT 0.3]",
    ),
)


def drawing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a drawing: `out`, and those of `Options` that were set."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


async def draw(client: Client, prompt: str, out: Path | None, given: dict[str, Any]) -> list[Path]:
    """Draw pictures, show how it goes on standard error, and write them to files."""
    options: Options = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]  # as declared
    console = Console(stderr=True)
    if console.is_terminal:
        options["previews"] = PREVIEWS
    pictures: list[Picture] = []
    with display(console) as shown:
        async with aclosing(client.generate(prompt, **options)) as events:
            async for event in events:
                shown.show(event)
                if isinstance(event, Picture):
                    pictures.append(event)
    return save_pictures(pictures, out, prompt or given["image"].stem)
