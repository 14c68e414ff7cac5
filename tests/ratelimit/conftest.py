"""A running ratelimit service and how tests talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import grpc
import pytest

from mezzotint.api.ratelimit.v1 import ratelimit_pb2_grpc
from mezzotint.ratelimit.app import run
from mezzotint.ratelimit.settings import RateLimitSettings
from mezzotint.runtime.tls import Authority
from tests.support.clock import ManualClock
from tests.support.serving import connect, serving

LIMITS = """
tiers:
  free:
    - {name: burst, dimension: requests, gcra: {count: 60, per_seconds: 60, burst: 3}}
    - {name: daily, dimension: images, calendar: {count: 10, period: day}}
  plus:
    - {name: plus-daily, dimension: images, calendar: {count: 1000, period: day}}
everybody:
  - {name: everybody, dimension: images, calendar: {count: 25, period: hour}}
"""
if TYPE_CHECKING:
    # The typed face of the stub; at run time there is only RateLimitServiceStub.
    from mezzotint.api.ratelimit.v1.ratelimit_pb2_grpc import RateLimitServiceAsyncStub as Stub


class OpenChannel(Protocol):
    """Starts the service and gives a channel to it that speaks as `identity`."""

    def __call__(self, *, identity: str = "gateway", **changes: object) -> AbstractAsyncContextManager[grpc.aio.Channel]: ...


class Serve(Protocol):
    """Starts the service and gives a stub of it that speaks as `identity`."""

    def __call__(self, *, identity: str = "gateway", **changes: object) -> AbstractAsyncContextManager[Stub]: ...


@pytest.fixture
def settings(data: Path, tmp_path: Path) -> Callable[..., RateLimitSettings]:
    """Makes settings for a service on a free port with the limits above."""
    (tmp_path / "limits.yaml").write_text(LIMITS)
    given = {"data": data, "port": 0, "metrics_port": 0, "limits_file": tmp_path / "limits.yaml", "drain_seconds": 1}
    return lambda **changes: RateLimitSettings.model_validate({**given, **changes})


@pytest.fixture
def open_channel(settings: Callable[..., RateLimitSettings], authority: Authority, clock: ManualClock) -> OpenChannel:
    """Runs the service on the test's clock."""

    @asynccontextmanager
    async def start(*, identity: str = "gateway", **changes: object) -> AsyncIterator[grpc.aio.Channel]:
        async with (
            serving(partial(run, clock=clock), settings(**changes)) as port,
            connect(authority, port, "ratelimit", identity=identity) as channel,
        ):
            yield channel

    return start


@pytest.fixture
def serve(open_channel: OpenChannel) -> Serve:
    """Runs the service on the test's clock."""

    @asynccontextmanager
    async def start(*, identity: str = "gateway", **changes: object) -> AsyncIterator[Stub]:
        async with open_channel(identity=identity, **changes) as channel:
            yield ratelimit_pb2_grpc.RateLimitServiceStub(channel)

    return start
