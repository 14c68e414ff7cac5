"""The probe: its exit code and its one line, as the process that a container's health check runs."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from mezzotint.runtime.probe import PORTS
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from tests.runtime.conftest import Echo
from tests.runtime.echo import SERVICE

PROBE_SECONDS_MAX = 20
# What a probe can do without; together they would take longer to import than the probe takes to run.
HEAVY = {"pydantic", "pydantic_settings", "opentelemetry", "structlog", "protovalidate", "uvloop", "numpy", "onnxruntime"}


async def run(data: Path, *arguments: str, code: str = "", **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines of standard error of a probe (or of `code`) on a data folder."""
    command = ["-c", code] if code else ["-m", "mezzotint.runtime.probe", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MEZZOTINT_", "GRPC_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stderr=asyncio.subprocess.PIPE, env={**inherited, "MEZZOTINT_DATA": str(data), **environment}
    )
    _, errors = await asyncio.wait_for(process.communicate(), PROBE_SECONDS_MAX)
    assert process.returncode is not None
    return process.returncode, errors.decode().splitlines()


@pytest.fixture
def tls(data: Path, authority: Authority) -> Path:
    """A data folder with the certificates of queue and auth."""
    authority.identity("queue")
    authority.identity("auth")
    return data


async def test_a_service_that_is_ready_passes_in_silence(echo: Echo, data: Path) -> None:
    """Ensures exit code 0, for an address that is given and for the port that the environment names."""
    port = str(echo.server.port)
    assert await run(data, "queue", f"127.0.0.1:{port}") == (0, [])
    assert await run(data, "queue", MEZZOTINT_QUEUE_PORT=port) == (0, [])


async def test_a_service_that_is_not_ready_fails_though_it_answers(echo: Echo, data: Path) -> None:
    """Ensures that the probe believes the service's word, not its open port."""
    await echo.server.readiness.unready(SERVICE)
    code, lines = await run(data, "queue", f"127.0.0.1:{echo.server.port}")
    assert (code, lines) == (1, [f"queue at 127.0.0.1:{echo.server.port} is not ready: NOT_SERVING"])


async def test_nobody_there_is_told_in_one_line(tls: Path) -> None:
    """Ensures that a service that is down fails soon, and with the reason."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"127.0.0.1:{held.getsockname()[1]}"
        code, lines = await run(tls, "queue", address)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"queue at {address} does not answer: ")


async def test_another_service_does_not_pass_for_the_one_asked(echo: Echo, tls: Path) -> None:
    """Ensures that the certificate's name is checked: the queue does not answer for auth."""
    code, lines = await run(tls, "auth", f"127.0.0.1:{echo.server.port}")
    assert code == 1
    assert len(lines) == 1
    assert "does not answer" in lines[0]


async def test_the_public_door_is_asked_without_a_certificate(data: Path, authority: Authority) -> None:
    """Ensures that the gateway's probe needs no more than its clients do: the authority's certificate."""
    server = Server(ServiceSettings(data=data), authority.identity("gateway"), [SERVICE], public=True)
    await server.start()
    await server.ready()
    for file in ("gateway.pem", "gateway.key", "ca.key"):
        (authority.folder / file).unlink()
    assert await run(data, "gateway", f"127.0.0.1:{server.port}") == (0, [])
    await server.stop()


async def test_a_missing_certificate_is_named(data: Path) -> None:
    """Ensures that a container without its certificates says which file it lacks."""
    code, lines = await run(data, "queue")
    assert code == 1
    assert len(lines) == 1
    assert str(data / "tls" / "ca.pem") in lines[0]


@pytest.mark.parametrize("arguments", [(), ("studio",), ("queue", "127.0.0.1:7403", "more")])
async def test_a_wrong_command_line_says_how_it_goes(data: Path, arguments: tuple[str, ...]) -> None:
    """Ensures that a typing error in a compose file can be found."""
    code, lines = await run(data, *arguments)
    assert code == 1
    assert lines == [f"usage: python -m mezzotint.runtime.probe {{{','.join(PORTS)}}} [address]"]


async def test_the_probe_imports_little(data: Path) -> None:
    """Ensures that a check every few seconds costs next to nothing."""
    code = f"import sys, mezzotint.runtime.probe; sys.exit(str(sorted({HEAVY!r} & set(sys.modules))))"
    assert (await run(data, code=code))[1] == ["[]"]
