"""Keepalive: a client that waits long in silence, as one whose job is deferred does, is not sent away for its pings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from mezzotint.api.queue.v1 import queue_pb2, queue_pb2_grpc
from mezzotint.runtime import channel, server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority, dns_name
from tests.runtime.echo import SERVICE, EchoQueue, register

# gRPC sends no more than one ping a second whatever it is told; a server that wants fewer hangs up at the third.
WATCHED_SECONDS = 5


async def test_pings_as_often_as_documented_are_welcome(
    data: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ensures that gRPC knows the option that allows them: it ignores others, and then allows one ping in five minutes."""
    assert channel.KEEPALIVE_SECONDS > server.PING_SECONDS_MIN
    monkeypatch.setattr(server, "PING_SECONDS_MIN", 0)
    echo = server.Server(ServiceSettings(data=data, drain_seconds=0), authority.identity("queue"), [SERVICE])
    servicer = EchoQueue()  # type: ignore[abstract]  # the methods left out are not called
    register(echo, servicer)
    await echo.start()
    often = [("grpc.keepalive_time_ms", 100), ("grpc.http2.max_pings_without_data", 0), ("grpc.enable_retries", 0)]
    options = [*often, ("grpc.ssl_target_name_override", dns_name("queue"))]
    credentials = authority.identity("gateway").channel_credentials()
    try:
        async with grpc.aio.secure_channel(f"127.0.0.1:{echo.port}", credentials, options=options) as connection:
            call = queue_pb2_grpc.QueueServiceStub(connection).GetJob(queue_pb2.GetJobRequest(job_id="wait"))
            ended = asyncio.ensure_future(call.code())
            await servicer.waiting.wait()
            await asyncio.wait({ended}, timeout=WATCHED_SECONDS)
            assert not ended.done(), "the server hung up on a client that only waited"
            call.cancel()
            await ended
    finally:
        await echo.stop()
