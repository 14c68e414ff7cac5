"""Puts the ratelimit service together and runs it."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from mezzotint.api.ratelimit.v1 import ratelimit_pb2, ratelimit_pb2_grpc
from mezzotint.ratelimit import limits_file, snapshot
from mezzotint.ratelimit.keeper import Keeper, sole_owner
from mezzotint.ratelimit.ledger import Ledger
from mezzotint.ratelimit.moments import Moments
from mezzotint.ratelimit.service import RateLimitService
from mezzotint.ratelimit.settings import RateLimitSettings
from mezzotint.runtime import logging, tls
from mezzotint.runtime.clock import Clock, SystemClock, new_id
from mezzotint.runtime.server import Server

log = logging.get(__name__)
SERVICE = ratelimit_pb2.DESCRIPTOR.services_by_name["RateLimitService"].full_name
# Behind by more than this, the wall clock was set back rather than corrected.
CLOCK_BACK_SECONDS_MAX = 60


async def run(
    settings: RateLimitSettings,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda port: None,
    *,
    clock: Clock | None = None,
) -> None:
    """Serve until `stop` is set. Raises StartRefused for an unusable limits file or snapshot, OSError for a failed write."""
    policy = limits_file.read(settings.limits_file)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.data / "ratelimit.snapshot"
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_owner(path.with_suffix(".lock")))
        saved = snapshot.read(path)
        moments = Moments(clock or SystemClock(), saved.wall_ns if saved else 0)
        ledger = Ledger(policy, new_id)
        if saved:
            ledger.restore(saved, moments.read())
            log.info("quotas resumed", path=str(path), **ledger.sizes())
        warn_if_set_back(moments)
        keeper = Keeper(ledger, moments, path, settings.snapshot_seconds)
        stack.push_async_callback(keeper.save)
        server = Server(settings, tls.open_identity(settings.data, "ratelimit", settings.hosts), [SERVICE])
        server.add(ratelimit_pb2_grpc.add_RateLimitServiceServicer_to_server, RateLimitService(ledger, moments))
        await server.start()
        stack.push_async_callback(server.stop)
        await server.ready()
        started(server.port)
        await keeper.run(stop)


def warn_if_set_back(moments: Moments) -> None:
    """Say that calendar quotas run slowly for a while, and why."""
    seconds = moments.ahead_ns() / 1e9
    if seconds > CLOCK_BACK_SECONDS_MAX:
        log.warning(
            "the clock was set back since the last run; calendar windows pass at half speed until it has caught up",
            seconds=seconds,
        )
