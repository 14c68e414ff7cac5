"""`mezzotint jobs`: generations of the account, past and present."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from mezzotint_client.cli.connection import Connection, connected
from mezzotint_client.cli.failures import run
from mezzotint_client.cli.pictures import save_pictures
from mezzotint_client.cli.tables import show_table
from mezzotint_client.client import Client
from mezzotint_client.events import Picture
from mezzotint_client.records import Generation

Result = TypeVar("Result")


@click.group(short_help="Generations: list, show, cancel, fetch.")
def jobs() -> None:
    """Generations: list them, show one, cancel one, fetch the pictures of one."""


@jobs.command("list")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
@connected
def list_jobs(connection: Connection, count: int) -> None:
    """List the account's generations, newest first."""
    found = ask(connection, lambda client: client.list_generations(count_max=count))
    rows = [
        (each.generation_id, each.state, f"{each.created_at:%Y-%m-%d %H:%M:%S}", took(each), each.failure) for each in found
    ]
    show_table(("job", "state", "accepted", "took", "reason"), rows)


@jobs.command()
@click.argument("job_id")
@connected
def show(connection: Connection, job_id: str) -> None:
    """Show one generation as it stands."""
    show_generation(ask(connection, lambda client: client.get_generation(job_id)))


@jobs.command()
@click.argument("job_id")
@connected
def cancel(connection: Connection, job_id: str) -> None:
    """Cancel a generation that waits or is being drawn."""
    show_generation(ask(connection, lambda client: client.cancel_generation(job_id)))


@jobs.command()
@click.argument("job_id")
@click.option("--out", type=click.Path(path_type=Path), help="A file, or a folder.  [default: out/JOB_ID.png]")
@connected
def fetch(connection: Connection, job_id: str, out: Path | None) -> None:
    """Fetch the finished pictures of a generation and write them to files."""

    async def every_picture(client: Client) -> list[Picture]:
        found = await client.get_generation(job_id)
        return list(await asyncio.gather(*(client.get_image(job_id, index) for index in range(len(found.images)))))

    pictures = ask(connection, every_picture)
    if not pictures:
        raise click.ClickException(f"{job_id} has no pictures yet; `mezzotint jobs show {job_id}` tells how it stands")
    for path in save_pictures(pictures, out, job_id):
        click.echo(path)


def ask(connection: Connection, question: Callable[[Client], Awaitable[Result]]) -> Result:
    """The gateway's answer to something the account asks."""

    async def answer() -> Result:
        async with connection.signed_client() as client:
            return await question(client)

    return run(answer())


def show_generation(found: Generation) -> None:
    """Print a generation, one line a field."""
    click.echo(f"job       {found.generation_id}\nstate     {found.state}")
    click.echo(f"accepted  {found.created_at:%Y-%m-%d %H:%M:%S} UTC")
    if found.finished_at:
        click.echo(f"finished  {found.finished_at:%Y-%m-%d %H:%M:%S} UTC, after {took(found)}")
    if found.failure:
        click.echo(f"reason    {found.failure}: {found.message}")
    for index, image in enumerate(found.images):
        size = f"{image.width}x{image.height} {image.format}, {image.size_bytes} bytes, seed {image.seed}"
        click.echo(f"image {index}   {size}")


def took(found: Generation) -> str:
    """From accepted to final, in seconds."""
    return f"{(found.finished_at - found.created_at).total_seconds():.1f} s" if found.finished_at else ""
