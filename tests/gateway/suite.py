"""All five services in the test's event loop, on free ports, over one data folder and a tiny model."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from mezzotint.auth.app import run as run_auth
from mezzotint.auth.settings import AuthSettings
from mezzotint.gateway.app import run as run_gateway
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.inference.app import run as run_inference
from mezzotint.inference.settings import InferenceSettings
from mezzotint.queue.app import run as run_queue
from mezzotint.queue.settings import QueueSettings
from mezzotint.ratelimit.app import run as run_ratelimit
from mezzotint.ratelimit.settings import RateLimitSettings
from mezzotint.runtime import statuses
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority, dns_name
from tests.inference.tiny_model import write_tiny_model
from tests.support.people import gateway_channel
from tests.support.serving import connect, serving

MODEL = "tiny"
# In the order of dependence.
SERVICES: dict[str, tuple[Any, type[ServiceSettings]]] = {
    "auth": (run_auth, AuthSettings),
    "ratelimit": (run_ratelimit, RateLimitSettings),
    "queue": (run_queue, QueueSettings),
    "inference": (run_inference, InferenceSettings),
    "gateway": (run_gateway, GatewaySettings),
}
# Weak on purpose: what is tested here is not the hash. A drain as short as a test can wait for.
QUICK: dict[str, dict[str, Any]] = {
    "auth": {"hashing_memory_kib": 7 * 1024, "hashing_passes": 1},
    "queue": {"grace_seconds": 2.0, "lease_seconds": 3.0, "heartbeat_seconds": 0.5, "place_seconds": 0.1},
    "inference": {"threads": 1, "default_model": MODEL},
}


@dataclass
class Suite:
    """Services that run, by name, and where they listen. `start` and `stop` let a test restart one on its port."""

    data: Path
    authority: Authority
    overrides: Mapping[str, dict[str, Any]]
    ports: dict[str, int] = field(default_factory=dict)
    http_port: int = 0
    http_listens: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[str, AsyncExitStack] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The HTTP door."""
        return f"http://127.0.0.1:{self.http_port}"

    async def start(self, name: str) -> None:
        """Start a service, on the port it had before if it ran before."""
        run, settings_class = SERVICES[name]
        if name == "gateway":
            run = partial(run, http_started=self._http_started)
        settings = settings_class(**self._settings(name))
        stack = AsyncExitStack()
        self.ports[name] = await stack.enter_async_context(serving(run, settings))
        self._running[name] = stack

    async def stop(self, name: str) -> None:
        """Stop a service in order."""
        await self._running.pop(name).aclose()

    def connect(self, service: str, identity: str = "operator") -> grpc.aio.Channel:
        """A channel to a service behind the gateway."""
        return connect(self.authority, self.ports[service], service, identity=identity)

    async def close(self) -> None:
        """Stop all that runs, the gateway first."""
        for name in reversed(SERVICES):
            if name in self._running:
                await self.stop(name)

    def _settings(self, name: str) -> dict[str, Any]:
        own: dict[str, Any] = {"data": self.data, "port": self.ports.get(name, 0), "metrics_port": 0, "drain_seconds": 2.0}
        if name == "inference":
            own |= {"models": self.data.parent / "models", "queue_address": self._address("queue")}
        if name == "gateway":
            own |= {"http_port": self.http_port, "http_wait_seconds_max": 30.0}
            own |= {f"{peer}_address": self._address(peer) for peer in ("auth", "ratelimit", "queue", "inference")}
        return own | QUICK.get(name, {}) | self.overrides.get(name, {})

    def _http_started(self, port: int) -> None:
        self.http_port = port
        self.http_listens.set()

    def _address(self, name: str) -> str:
        self.ports[name] = self.ports.get(name) or free_port()
        return f"127.0.0.1:{self.ports[name]}"


def free_port() -> int:
    """A port that nothing listens on, for a service that is started later or never."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(
    data: Path, *, work: int = 0, without: tuple[str, ...] = (), **overrides: dict[str, Any]
) -> AsyncIterator[Suite]:
    """A suite over `data`. Each step of its model multiplies `work` matrices; `overrides` are settings by service."""
    write_tiny_model(data.parent / "models" / MODEL, work=work)
    suite = Suite(data, Authority.open(data), overrides)
    try:
        for name in SERVICES:
            if name not in without:
                await suite.start(name)
        yield suite
    finally:
        await suite.close()


@asynccontextmanager
async def public(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the gRPC door, as end users have it."""
    async with gateway_channel(f"127.0.0.1:{suite.ports['gateway']}", suite.data) as channel:
        yield channel


@asynccontextmanager
async def impatient(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the gRPC door that does not call again by itself when a call fails."""
    credentials = grpc.ssl_channel_credentials((suite.data / "tls" / "ca.pem").read_bytes())
    options = [("grpc.ssl_target_name_override", dns_name("gateway")), ("grpc.enable_retries", 0)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{suite.ports['gateway']}", credentials, options=options) as channel:
        yield channel


async def to_end(call: Any) -> list[Any]:
    """All responses of a call of GenerateImages. Raises the classes the gateway raised."""
    return [response async for response in _raising(call)]


async def until(call: Any, kind: str) -> list[Any]:
    """The responses up to the first of a kind."""
    seen = []
    async with asyncio.timeout(20):
        async for response in _raising(call):
            seen.append(response)
            if response.WhichOneof("event") == kind:
                return seen
    raise AssertionError(f"the call ended without {kind}")


async def _raising(call: Any) -> AsyncIterator[Any]:
    try:
        while (response := await call.read()) is not grpc.aio.EOF:
            yield response
    except grpc.RpcError as error:
        raise statuses.from_call(error) from error
