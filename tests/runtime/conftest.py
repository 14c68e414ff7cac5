"""A server of the runtime with the echo service behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from mezzotint.api.queue.v1 import queue_pb2_grpc
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from tests.runtime.echo import SERVICE, EchoQueue, register
from tests.support.serving import connect


@dataclass
class Echo:
    """A running server, its servicer, and a channel to it as the gateway."""

    server: Server
    servicer: EchoQueue
    authority: Authority
    channel: grpc.aio.Channel

    @property
    def stub(self) -> queue_pb2_grpc.QueueServiceAsyncStub:
        return queue_pb2_grpc.QueueServiceStub(self.channel)


@pytest.fixture
async def echo(data: Path, authority: Authority) -> AsyncIterator[Echo]:
    """The echo service on a free port, ready."""
    settings = ServiceSettings(data=data, reflection=True, drain_seconds=5)
    server = Server(settings, authority.identity("queue"), [SERVICE])
    servicer = EchoQueue()  # type: ignore[abstract]  # the methods left out answer UNIMPLEMENTED, which a test asks for
    register(server, servicer)
    await server.start()
    await server.ready()
    async with connect(authority, server.port, "queue", identity="gateway") as channel:
        yield Echo(server, servicer, authority, channel)
    await server.stop()
