"""The service as a whole: start, stop, restart, crash, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.api.ratelimit.v1 import ratelimit_pb2 as pb
from mezzotint.api.ratelimit.v1 import ratelimit_pb2_grpc
from mezzotint.ratelimit import snapshot
from mezzotint.ratelimit.app import SERVICE, run
from mezzotint.ratelimit.settings import RateLimitSettings
from mezzotint.runtime.calls import call
from mezzotint.runtime.errors import StartRefused
from mezzotint.runtime.tls import Authority
from tests.ratelimit.conftest import OpenChannel, Serve
from tests.ratelimit.requests import check, commit, reserve, subject
from tests.support.clock import ManualClock
from tests.support.serving import connect

if TYPE_CHECKING:
    from mezzotint.api.ratelimit.v1.ratelimit_pb2_grpc import RateLimitServiceAsyncStub as Stub

MakeSettings = Callable[..., RateLimitSettings]


async def daily(stub: Stub) -> int:
    """What is left of the day's images."""
    response = await call(stub.Peek, pb.PeekRequest(subject=subject()))
    return next(limit.remaining for limit in response.limits if limit.name == "daily")


async def test_it_says_when_it_is_ready(open_channel: OpenChannel) -> None:
    """Ensures that health checks find it serving."""
    async with open_channel() as channel:
        response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
        assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_restart_keeps_the_days_quota_and_open_reservations(serve: Serve, clock: ManualClock) -> None:
    """Ensures that a clean stop forgets nothing that lasts: used images, reservations, and when they end."""
    async with serve() as stub:
        await call(stub.Check, check(images=3))
        kept = await call(stub.Reserve, reserve(images=2))
        over = await call(stub.Reserve, reserve(images=2, hold=60))
    clock.advance(61)
    async with serve() as stub:
        assert await daily(stub) == 5
        assert not (await call(stub.Commit, commit(kept.reservation_id, images=1))).late
        assert (await call(stub.Commit, commit(over.reservation_id, images=1))).late
        assert await daily(stub) == 5


async def test_a_clock_set_back_hands_out_no_second_quota(serve: Serve, clock: ManualClock) -> None:
    """Ensures that neither a step back while it runs nor one while it is down makes a used hour whole."""
    async with serve() as stub:
        clock.advance(600)
        await call(stub.Check, check(tier="plus", images=25))
        clock.step(-3600)
        assert not (await call(stub.Check, check(tier="plus", images=1))).decision.allowed
    clock.step(-3600)
    async with serve() as stub:
        assert not (await call(stub.Check, check(tier="plus", images=1))).decision.allowed


async def test_a_second_process_is_refused(serve: Serve, settings: MakeSettings) -> None:
    """Ensures that no two processes count the same quotas apart."""
    async with serve():
        with pytest.raises(StartRefused, match="another ratelimit process"):
            await run(settings(), asyncio.Event())


@pytest.mark.usefixtures("authority")
async def test_a_damaged_snapshot_stops_the_start(settings: MakeSettings, data: Path) -> None:
    """Ensures that the service neither starts without its quotas nor destroys the file."""
    (data / "ratelimit.snapshot").write_bytes(b"garbage")
    with pytest.raises(StartRefused, match="damaged"):
        await run(settings(), asyncio.Event())
    assert (data / "ratelimit.snapshot").read_bytes() == b"garbage"


async def test_a_bad_limits_file_stops_the_start(settings: MakeSettings, tmp_path: Path) -> None:
    """Ensures that the message that names the line arrives."""
    path = tmp_path / "bad.yaml"
    path.write_text("tiers:\n  free: 1\n")
    with pytest.raises(StartRefused, match=r"bad\.yaml:2: write a list"):
        await run(settings(limits_file=path), asyncio.Event())


async def test_a_write_that_fails_ends_the_process(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that a broken disk is not served on: the process ends with the error."""
    monkeypatch.setattr(snapshot, "write", Failing(errno.EIO))
    with pytest.raises(OSError, match="broken"):
        await asyncio.wait_for(run(settings(snapshot_seconds=0.01), asyncio.Event()), 10)


async def test_a_full_disk_is_tried_again(serve: Serve, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that with a full disk charges go on, and are written down once there is room."""
    full, real = Failing(errno.ENOSPC), snapshot.write
    monkeypatch.setattr(snapshot, "write", full)
    async with serve(snapshot_seconds=0.01) as stub:
        await asyncio.wait_for(full.called.wait(), 10)
        await call(stub.Check, check(images=3))
        assert not (data / "ratelimit.snapshot").exists()
        monkeypatch.setattr(snapshot, "write", real)
    async with serve() as stub:
        assert await daily(stub) == 7


async def test_a_crash_forgets_at_most_what_was_not_written_yet(
    settings: MakeSettings, authority: Authority, tmp_path: Path
) -> None:
    """Ensures that a process killed outright comes back with the quotas of its last snapshot."""
    async with process(settings(), authority, snapshot_seconds=0.01) as (child, stub, path):
        await call(stub.Check, check(images=3))
        async with asyncio.timeout(20):
            while b'"acc_a"' not in content_of(path):
                assert await daily(stub) == 7
        child.kill()
        assert await child.wait() == -signal.SIGKILL
    async with process(settings(), authority) as (child, stub, _):
        assert await daily(stub) == 7
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 20) == 0


class Failing:
    """A write that fails, and says that it was tried."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.loop = asyncio.get_running_loop()
        self.called = asyncio.Event()

    def __call__(self, *_args: object) -> None:
        self.loop.call_soon_threadsafe(self.called.set)
        raise OSError(self.number, "broken")


@asynccontextmanager
async def process(
    settings: RateLimitSettings, authority: Authority, *, snapshot_seconds: float = 5
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Stub, Path]]:
    """The service as a process of its own, a stub to it, and its snapshot file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "MEZZOTINT_DATA": str(settings.data),
        "MEZZOTINT_RATELIMIT_PORT": str(port),
        "MEZZOTINT_RATELIMIT_METRICS_PORT": "0",
        "MEZZOTINT_RATELIMIT_LIMITS_FILE": str(settings.limits_file),
        "MEZZOTINT_RATELIMIT_SNAPSHOT_SECONDS": str(snapshot_seconds),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "mezzotint.ratelimit", env=environment)
    try:
        async with connect(authority, port, "ratelimit", identity="gateway") as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
            yield child, ratelimit_pb2_grpc.RateLimitServiceStub(channel), settings.data / "ratelimit.snapshot"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def content_of(path: Path) -> bytes:
    """What another process has written so far."""
    return path.read_bytes() if path.exists() else b""
