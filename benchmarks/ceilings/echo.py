"""A bare grpc.aio server in a process of its own: mTLS and uvloop as our services have them, and nothing around the call."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import uvloop

from mezzotint.runtime.tls import Authority

UNARY = "/echo/Unary"
STREAM = "/echo/Stream"


async def _unary(request: bytes, context: Any) -> bytes:
    return request


async def _stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == UNARY:
            return grpc.unary_unary_rpc_method_handler(_unary)
        return grpc.stream_stream_rpc_method_handler(_stream)


@dataclass(frozen=True)
class Echo:
    """Where the server listens, and its process."""

    address: str
    pid: int


@contextmanager
def serving(data: Path) -> Iterator[Echo]:
    """An echo server that shows the certificate of the queue from the authority in `data`."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(data, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        port, pid = ours.recv()
        yield Echo(f"127.0.0.1:{port}", pid)
    finally:
        ours.close()
        process.join()


def _serve(data: Path, told: Connection) -> None:
    """Serve until the other end of `told` is closed."""
    uvloop.run(_until_closed(data, told))


async def _until_closed(data: Path, told: Connection) -> None:
    server = grpc.aio.server(handlers=[_Echo()])
    credentials = Authority.open(data).identity("queue").server_credentials(client_certificates=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    told.send((port, os.getpid()))
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(told.fileno(), closed.set)
    await closed.wait()
    await server.stop(None)
