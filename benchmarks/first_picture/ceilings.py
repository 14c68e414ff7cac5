"""What the machine allows in the same run: a bare call over the same TLS, and one small write with fsync."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc

from mezzotint.runtime.tls import Authority

ROUNDS = 200


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


async def echo_seconds() -> list[float]:
    """Seconds of each of many unary calls, one after another, to a bare grpc.aio server over mTLS in this process."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.open(Path(folder))
        server = grpc.aio.server(handlers=[_Echo()])
        port = server.add_secure_port("127.0.0.1:0", authority.identity("queue").server_credentials(client_certificates=True))
        await server.start()
        options = [("grpc.ssl_target_name_override", "queue.mezzotint.internal")]
        credentials = authority.identity("gateway").channel_credentials()
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
            call: Any = channel.unary_unary("/echo/Echo")
            await call(b"warm")
            taken = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                await call(b"x" * 256)
                taken.append(time.perf_counter() - began)
        await server.stop(None)
    return taken


def fsync_seconds(folder: Path) -> list[float]:
    """Seconds of each of many appends of 512 bytes with fdatasync, in `folder`."""
    taken = []
    with (folder / "fsync-probe").open("ab", buffering=0) as file:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return taken
