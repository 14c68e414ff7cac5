"""Asks one service whether it is ready, for containers' health checks: `python -m mezzotint.runtime.probe queue [address]`.

Exit code 0 when it is; else 1 and one line on standard error that says why not. Speaks as the service itself, from
MEZZOTINT_DATA/tls; to the gateway, which end users reach without a certificate, it speaks as one of them. Run every few
seconds, so it imports little.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from platformdirs import user_data_path

from mezzotint.runtime import channel
from mezzotint.runtime.tls import load_identity

# Where each service listens unless its environment says otherwise.
PORTS = {"gateway": 7400, "auth": 7401, "ratelimit": 7402, "queue": 7403, "inference": 7404}
PUBLIC = "gateway"
ANSWER_SECONDS_MAX = 3.0


class ProbeFailed(Exception):
    """The service is not ready; the message says why."""


def main() -> None:
    """Probe the service that the command line names, and exit."""
    # Failed handshakes are told by the one line, not by gRPC's own log too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        service, address = parse(sys.argv[1:])
        asyncio.run(probe(service, address, Path(os.environ.get("MEZZOTINT_DATA") or user_data_path("mezzotint"))))
    except ProbeFailed as error:
        sys.exit(str(error))


def parse(arguments: list[str]) -> tuple[str, str]:
    """The service and its address from the command line. Raises ProbeFailed."""
    if len(arguments) not in (1, 2) or arguments[0] not in PORTS:
        raise ProbeFailed(f"usage: python -m mezzotint.runtime.probe {{{','.join(PORTS)}}} [address]")
    service = arguments[0]
    port = os.environ.get(f"MEZZOTINT_{service.upper()}_PORT") or PORTS[service]
    return service, arguments[1] if len(arguments) > 1 else f"127.0.0.1:{port}"


async def probe(service: str, address: str, data: Path) -> None:
    """Return when all of `service` at `address` answers SERVING. Raises ProbeFailed."""
    try:
        connection = connect(service, address, data)
    except OSError as error:
        raise ProbeFailed(f"cannot ask {service}: {error}") from error
    async with connection:
        ask = health_pb2_grpc.HealthStub(connection).Check
        try:
            answer = await ask(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            why = " ".join((error.details() or "").split())
            raise ProbeFailed(f"{service} at {address} does not answer: {error.code().name}: {why}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise ProbeFailed(f"{service} at {address} is not ready: {status}")


def connect(service: str, address: str, data: Path) -> grpc.aio.Channel:
    """A channel to `service` as itself, or as an end user where the door is public. Raises OSError without certificates."""
    if service == PUBLIC:
        return channel.connect_public(address, service, (data / "tls" / "ca.pem").read_bytes())
    return channel.connect(address, service, load_identity(data, service))


if __name__ == "__main__":
    main()
