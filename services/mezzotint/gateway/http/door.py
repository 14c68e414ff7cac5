"""uvicorn in the gateway's own event loop, on a socket of ours."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime import logging
from mezzotint.runtime.errors import StartRefused

log = logging.get(__name__)
BACKLOG = 1024
KEEP_ALIVE_SECONDS = 75


class Embedded(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing."""
        yield


class HttpDoor:
    """Serves an application; `port` is the port in use once `start` returned."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._settings = settings
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=settings.concurrent_calls_max,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
        self._server = Embedded(config)
        self._task: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken, StartRefused when it is one that plain HTTP must not use."""
        require_private(self._settings)
        self._listener = listen(self._settings.host, self._settings.http_port)
        self.port = self._listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        log.info("listening", address=f"http://{self._settings.host}:{self.port}")

    async def stop(self) -> None:
        """Take no more requests, let those under way end within the drain time, and close."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._listener is not None:
            self._listener.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["HttpDoor"]:
        """The door, open for the block."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()


def require_private(settings: GatewaySettings) -> None:
    """Raise StartRefused when credentials would cross a network in plain text without anybody having said so."""
    if settings.http_insecure or is_loopback(settings.host):
        return
    raise StartRefused(
        f"plain HTTP on {settings.host} would show credentials to the network; put a proxy that ends TLS before the gateway "
        "and set MEZZOTINT_GATEWAY_HTTP_INSECURE=true, or listen on 127.0.0.1",
    )


def is_loopback(host: str) -> bool:
    """The address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError that names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; is another process using the port?") from error
    return listener
