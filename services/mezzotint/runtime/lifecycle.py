"""How a process starts and stops: one event loop, SIGTERM and SIGINT as an event, an exit code that tells."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from mezzotint.runtime import logging, telemetry
from mezzotint.runtime.errors import MezzotintError, StartRefused
from mezzotint.runtime.settings import ServiceSettings

log = logging.get(__name__)
# Runs a whole service until the event is set.
Run = Callable[[asyncio.Event], Awaitable[None]]


def main(service: str, settings: ServiceSettings, run: Run) -> None:
    """Run a service as this process and exit: 0 after a stop, 1 when it could not start or failed."""
    logging.configure(service, settings.log_level)
    telemetry.configure(service, host=settings.host, metrics_port=settings.metrics_port)
    try:
        uvloop.run(until_signal(run))
    except (MezzotintError, StartRefused, OSError) as error:
        log.error("stopped", reason=str(error))
        sys.exit(1)


async def until_signal(run: Run) -> None:
    """Run with an event that the first SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(stop)
