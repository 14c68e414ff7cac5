"""Whether the services behind the gateway answer: the gateway is ready while all that it cannot do without do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.runtime import calls, logging
from mezzotint.runtime.channel import Channel
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import MezzotintError
from mezzotint.runtime.server import Server

log = logging.get(__name__)
# Without these no request can be served; without inference, requests wait in the queue.
NEEDED = ("auth", "ratelimit", "queue")
CHECK_SECONDS_MAX = 1.0
# Between two checks: before the gateway is ready for the first time, and later.
PAUSE_SECONDS_FIRST, PAUSE_SECONDS = 0.05, 1.0
# A service may be away for this long, for its restart, before the gateway says that it is not ready.
GONE_SECONDS_MAX = 5.0


class Dependencies:
    """Asks the health of each service in `channels`, by name, and says when all answer and when one is gone."""

    def __init__(self, channels: Mapping[str, Channel], clock: Clock) -> None:
        self._stubs = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}
        self._clock = clock
        self.gone: tuple[str, ...] = tuple(channels)
        """The services that did not answer when last asked."""
        self.ready = False
        """All answered, and none has been gone for long since."""

    async def follow(self, server: Server, started: Callable[[int], None]) -> None:
        """Run until cancelled: `server` is ready while all answer; when they first do, `started` is told its port."""
        pause, answered_at = PAUSE_SECONDS_FIRST, self._clock.monotonic()
        while True:
            await self.check()
            if not self.gone:
                answered_at = self._clock.monotonic()
            if not self.gone and not self.ready:
                self.ready = True
                await server.ready()
                if pause == PAUSE_SECONDS_FIRST:
                    started(server.port)
                pause = PAUSE_SECONDS
            elif self.ready and self._clock.monotonic() - answered_at > GONE_SECONDS_MAX:
                self.ready = False
                log.error("not ready", gone=self.gone)
                await server.unready()
            await asyncio.sleep(pause)

    async def check(self) -> None:
        """Ask all at once."""
        names = tuple(self._stubs)
        answers = await asyncio.gather(*(self._answers(name) for name in names))
        self.gone = tuple(name for name, answered in zip(names, answers, strict=True) if not answered)

    async def _answers(self, name: str) -> bool:
        try:
            health = await calls.call(self._stubs[name].Check, health_pb2.HealthCheckRequest(), timeout=CHECK_SECONDS_MAX)
        except MezzotintError:
            return False
        return bool(health.status == health_pb2.HealthCheckResponse.SERVING)
