"""The gRPC server every service runs: TLS, limits, the layers around each call, health, reflection, and an orderly stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from mezzotint.runtime import logging
from mezzotint.runtime.interceptors.access import AccessLayer, Verifier
from mezzotint.runtime.interceptors.deadlines import DeadlineLayer
from mezzotint.runtime.interceptors.logging import LoggingLayer
from mezzotint.runtime.interceptors.pipeline import Layer, Pipeline
from mezzotint.runtime.interceptors.telemetry import TelemetryLayer
from mezzotint.runtime.interceptors.validation import ValidationLayer
from mezzotint.runtime.readiness import Readiness
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Identity

log = logging.get(__name__)
Servicer = TypeVar("Servicer")
METADATA_BYTES_MAX = 16 * 1024
# Clients may ping this often, idle or not, without being sent away.
PING_SECONDS_MIN = 10
# The server's own pings find clients that are gone without a word.
KEEPALIVE_SECONDS = 20
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


class Server:
    """A gRPC server for the services named in `services`, full names from the contract.

    `verifier` tells whose an end user's credential is. With `public`, clients need no certificate.
    `draining` is set when the server begins to stop: long streams end themselves then, with ServerDraining.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        identity: Identity,
        services: list[str],
        *,
        verifier: Verifier | None = None,
        public: bool = False,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._services = services
        self._public = public
        self.readiness = Readiness(services)
        self.draining = asyncio.Event()
        self.port = 0
        layers: list[Layer] = [TelemetryLayer(), LoggingLayer(), DeadlineLayer(), AccessLayer(verifier), ValidationLayer()]
        self._server = grpc.aio.server(
            interceptors=[Pipeline(layers)],
            options=options(settings),
            maximum_concurrent_rpcs=settings.concurrent_calls_max,
        )
        self._door = _Door(self._server)
        self.add(health_pb2_grpc.add_HealthServicer_to_server, self.readiness)
        if settings.reflection:
            self._add_reflection()

    def add(self, register: Callable[[Servicer, Any], None], servicer: Servicer) -> None:
        """Serve a servicer, by the `add_…_to_server` function of its stubs."""
        register(servicer, self._door)

    def add_handler(self, handler: grpc.GenericRpcHandler) -> None:
        """Serve methods that have no servicer, for passing calls on."""
        self._server.add_generic_rpc_handlers((handler,))

    async def start(self) -> None:
        """Listen. `port` is then the port in use. Raises OSError when the address is taken."""
        credentials = self._identity.server_credentials(client_certificates=not self._public)
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}; is another process using the port?") from error
        await self._server.start()
        log.info("listening", address=f"{self._settings.host}:{self.port}", services=self._services)

    async def ready(self) -> None:
        """Every service answers calls."""
        for service in self._services:
            await self.readiness.ready(service)

    async def unready(self) -> None:
        """No service can answer for now; calls are taken nevertheless and say why."""
        for service in self._services:
            await self.readiness.unready(service)

    async def stop(self) -> None:
        """Tell health checks, refuse new calls, and give those under way `drain_seconds`."""
        await self.readiness.stop()
        self.draining.set()
        await self._server.stop(self._settings.drain_seconds)
        log.info("stopped", address=f"{self._settings.host}:{self.port}")

    def _add_reflection(self) -> None:
        names = [*self._services, "grpc.health.v1.Health", reflection.SERVICE_NAME, REFLECTION_V1]
        servicer = reflection.aio.ReflectionServicer(names)
        self.add(reflection_pb2_grpc.add_ServerReflectionServicer_to_server, servicer)
        # v1 has v1alpha's messages under another service name; grpcio-reflection knows only the older one.
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": handler}),)
        )
        channelz.add_channelz_servicer(self._server)


class _Door:
    """The server as generated code sees it, that finds methods by name and registers none of them.

    For each registered method gRPC's event loop keeps a future of its own and goes through all of them at every call: with 29
    methods that took a tenth of a small call's time.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        """Serve what these handle."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        """Nothing: the generic handlers have these methods too."""


def options(settings: ServiceSettings) -> list[tuple[str, Any]]:
    """gRPC's own settings of a server."""
    return [
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_send_message_length", settings.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS_MIN * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ]
