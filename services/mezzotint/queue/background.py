"""Work that nobody waits for: kept from being collected, its defects logged, ended with the service."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.runtime import logging

log = logging.get(__name__)


class Background:
    """Tasks of the service's own."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, StoreUnavailable):
            log.error("internal error", exc_info=error)
