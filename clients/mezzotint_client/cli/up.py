"""`mezzotint up`: all services on this machine until Ctrl-C, and what to try first."""

import asyncio
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import click
from platformdirs import user_data_path

from mezzotint_client.cli.connection import data_option
from mezzotint_client.cli.failures import run
from mezzotint_client.cli.installed import require_services
from mezzotint_client.local_account import local_account
from mezzotint_client.process import first
from mezzotint_client.profile import HEADER, Profile
from mezzotint_client.suite import Suite

DECODE = "import base64,json,sys; sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)['data'][0]['b64_json']))"


@click.command(short_help="Start all services and serve until Ctrl-C.")
@click.option("--free-ports", is_flag=True, help="Listen on any free ports instead of the documented ones.")
@data_option
def up(data: Path, free_ports: bool) -> None:
    """Start all services and serve until Ctrl-C.

    Prints each address, an API key and what to try. The account and key are made once and kept in the data folder.
    """
    require_services()
    run(serve(data.resolve(), free_ports=free_ports))


async def serve(data: Path, *, free_ports: bool) -> None:
    """Run the services until a signal comes or one of them dies."""
    began = time.perf_counter()
    click.echo("starting auth, ratelimit, queue, inference and gateway", err=True)
    async with Suite.start(data, ports="free" if free_ports else "default") as suite:
        profile = await local_account(data, suite.addresses["gateway"])
        # Before the words that say how to stop: whoever reads them may do so at once.
        stop = stop_on_signal()
        click.echo(f"ready in {time.perf_counter() - began:.1f} s\n", err=True)
        click.echo(welcome(suite, profile))
        await first(asked_to_stop(stop), suite.wait())
        click.echo("stopping; Ctrl-C again does not wait", err=True)


def stop_on_signal() -> asyncio.Event:
    """An event that SIGTERM or Ctrl-C sets from now on."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def asked_to_stop(stop: asyncio.Event) -> None:
    """Wait for the event of `stop_on_signal`; the next signal interrupts as usual."""
    await stop.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


def welcome(suite: Suite, profile: Profile) -> str:
    """What is where, and what to try."""
    lines = [f"  {name:<10} {address}   gRPC" for name, address in suite.addresses.items()]
    lines += [f"  {'API':<10} {suite.http_url}/v1   HTTP, as OpenAI's"]
    lines += [f"  {'data':<10} {suite.data}", f"  {'account':<10} {profile.email}", f"  {'API key':<10} {profile.api_key}"]
    return "\n".join([*lines, "", "try:", *(f"  {line}" for line in lines_to_try(suite)), "", "Ctrl-C stops everything"])


def lines_to_try(suite: Suite) -> tuple[str, str, str]:
    """Commands that work as they stand: the client, curl, grpcurl."""
    data = "" if suite.data == user_data_path("mezzotint").resolve() else f" --data {shlex.quote(str(suite.data))}"
    generate = f'{this_command()} generate{data} "a red heart"'
    listing = f"grpcurl $({this_command()} grpcurl-flags{data}) {suite.addresses['queue']} list"
    # The shell splits what $(…) gives at every space, quoted or not, unless it reads the line again.
    spaced = shlex.quote(str(suite.data)) != str(suite.data)
    return generate, curl_line(suite), f'eval "{listing}"' if spaced else listing


def curl_line(suite: Suite) -> str:
    """A command that draws a picture over HTTP. The key comes from a file: the list of processes shows a command's words."""
    header = shlex.quote(f"@{suite.data / HEADER}")
    body = shlex.quote('{"prompt": "a red heart"}')
    request = f"curl -sS -H {header} -H 'content-type: application/json' -d {body} {suite.http_url}/v1/images/generations"
    return f'{request} |\n    python3 -c "{DECODE}" > red-heart.png'


def this_command() -> str:
    """What starts this program: its name where the shell finds it, else its path."""
    here = Path(sys.argv[0]).resolve()
    found = shutil.which("mezzotint")
    return "mezzotint" if found and Path(found).resolve() == here else shlex.quote(str(here))
