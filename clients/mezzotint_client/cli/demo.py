"""`mezzotint demo`: all of Mezzotint once, from nothing to a picture, leaving only the picture."""

import tempfile
import time
from pathlib import Path
from typing import Any

import click

from mezzotint_client.cli.drawing import draw, drawing_options
from mezzotint_client.cli.failures import run
from mezzotint_client.cli.installed import require_services
from mezzotint_client.client import Client
from mezzotint_client.local_account import local_account
from mezzotint_client.profile import authority_pem
from mezzotint_client.suite import Suite


@click.command(short_help="All of it once, from nothing to a picture.")
@click.argument("prompt", default="a red heart")
@drawing_options
def demo(prompt: str, out: Path | None, **options: Any) -> None:
    """Start all services on free ports, draw PROMPT, stop everything. Keeps nothing but the picture."""
    require_services()
    with tempfile.TemporaryDirectory(prefix="mezzotint-demo-") as folder:
        paths, seconds = run(show_everything(Path(folder), prompt, out, options))
    for path in paths:
        click.echo(path)
    click.echo(" · ".join(f"{name} {value:.1f} s" for name, value in seconds.items()), err=True)


async def show_everything(
    data: Path, prompt: str, out: Path | None, options: dict[str, Any]
) -> tuple[list[Path], dict[str, float]]:
    """The whole demo: the files it wrote, and how long each part took in seconds."""
    clock, seconds = time.perf_counter, {}
    began = clock()
    click.echo("starting auth, ratelimit, queue, inference and gateway", err=True)
    async with Suite.start(data, ports="free") as suite:
        ready = clock()
        profile = await local_account(data, suite.addresses["gateway"])
        signed_up = clock()
        click.echo(f"signed up {profile.email} and made an API key", err=True)
        authority = authority_pem(data / "tls" / "ca.pem")
        async with Client.connect(profile.address, authority_pem=authority, credential=profile.api_key) as client:
            paths = await draw(client, prompt, out, options)
        drawn = clock()
    seconds.update({"started in": ready - began, "account": signed_up - ready, "picture": drawn - signed_up})
    seconds.update({"stopped in": clock() - drawn})
    return paths, seconds
