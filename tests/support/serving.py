"""Services running in the test's own event loop, on free ports, behind real TLS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc

from mezzotint.runtime import channel
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority

Settings = TypeVar("Settings", bound=ServiceSettings)
# An app's run: settings, the stop event, and a callback that is told the gRPC port once the service is ready.
Run = Callable[[Settings, asyncio.Event, Callable[[int], None]], Awaitable[None]]
START_SECONDS_MAX = 30


@asynccontextmanager
async def serving(run: Run[Settings], settings: Settings) -> AsyncIterator[int]:
    """Run a service until the block ends; gives its gRPC port. A service that fails to start fails the test."""
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(run(settings, stop, started.set_result))
    try:
        await asyncio.wait({task, started}, timeout=START_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield await asyncio.wait_for(started, 0.001)
    finally:
        stop.set()
        await task


def connect(authority: Authority, port: int, service: str, *, identity: str) -> grpc.aio.Channel:
    """A channel to `service` on this machine that speaks as `identity`."""
    return channel.connect(f"127.0.0.1:{port}", service, authority.identity(identity))
