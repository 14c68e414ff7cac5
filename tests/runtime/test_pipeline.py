"""The layers around a call, and what is kept of it meanwhile."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mezzotint.runtime.interceptors.pipeline import Pipeline

METHOD = "/test.Service/Method"
MIB = 1024 * 1024


class Message:
    """A request that can be watched."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


@asynccontextmanager
async def serving(behavior: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A method with one request and many responses behind the pipeline."""
    server = grpc.aio.server(interceptors=[Pipeline([])])
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(behavior, request_deserializer=Message)
    service, _, name = METHOD.removeprefix("/").partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


async def test_nothing_of_a_request_is_kept_that_its_handler_lets_go_of() -> None:
    """Ensures that a large request does not lie in memory while its responses are awaited, neither as read nor as it came."""
    sent = bytes(3 * MIB)

    async def behavior(request: Message, context: Any) -> AsyncIterator[bytes]:
        assert len(request.raw) == len(sent)
        watched = weakref.ref(request)
        del request
        yield b"kept" if watched() else b"gone"
        yield str(tracemalloc.get_traced_memory()[0]).encode()

    async with serving(behavior) as channel:
        tracemalloc.start()
        try:
            method: Any = channel.unary_stream(METHOD)
            kept, traced = [each async for each in method(sent)]
        finally:
            tracemalloc.stop()
    assert kept == b"gone"
    assert int(traced) < MIB


async def test_a_call_without_its_request_is_refused() -> None:
    """Ensures that a client that sends nothing is told so, whoever made it."""

    async def behavior(request: Message, context: Any) -> AsyncIterator[bytes]:
        yield request.raw

    async with serving(behavior) as channel:
        method: Any = channel.stream_stream(METHOD)
        call = method(iter(()))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [each async for each in call]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "without its request" in (caught.value.details() or "")
