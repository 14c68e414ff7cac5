"""`mezzotint up`: all services on this machine until Ctrl-C, and what to try first."""

import asyncio
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import click

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
        click.echo(f"ready in {time.perf_counter() - began:.1f} s\n", err=True)
        click.echo(welcome(suite, profile))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await first(stop.wait(), suite.wait())
        click.echo("stopping", err=True)


def welcome(suite: Suite, profile: Profile) -> str:
    """What is where, and two lines to try that work as they stand."""
    lines = [f"  {name:<10} {address}   gRPC" for name, address in suite.addresses.items()]
    lines += [f"  {'API':<10} {suite.http_url}/v1   HTTP, as OpenAI's"]
    lines += [f"  {'data':<10} {suite.data}", f"  {'account':<10} {profile.email}", f"  {'API key':<10} {profile.api_key}"]
    return "\n".join([*lines, "", "try:", f"  {curl_line(suite)}", f"  {grpcurl_line(suite)}", "", "Ctrl-C stops everything"])


def curl_line(suite: Suite) -> str:
    """A command that draws a picture over HTTP. The key comes from a file: the list of processes shows a command's words."""
    header = shlex.quote(f"@{suite.data / HEADER}")
    body = shlex.quote('{"prompt": "a red heart"}')
    request = f"curl -sS -H {header} -H 'content-type: application/json' -d {body} {suite.http_url}/v1/images/generations"
    return f'{request} | python3 -c "{DECODE}" > red-heart.png'


def grpcurl_line(suite: Suite) -> str:
    """A command that lists the queue's services."""
    return f"grpcurl $({this_command()} grpcurl-flags --data {shlex.quote(str(suite.data))}) {suite.addresses['queue']} list"


def this_command() -> str:
    """What starts this program: its name where the shell finds it, else its path."""
    here = Path(sys.argv[0]).resolve()
    found = shutil.which("mezzotint")
    return "mezzotint" if found and Path(found).resolve() == here else shlex.quote(str(here))
