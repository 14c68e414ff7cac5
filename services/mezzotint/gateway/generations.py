"""All generations this process follows: opened for their readers, left, and let go when the process stops."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from mezzotint.api.images.v1 import images_pb2
from mezzotint.gateway.asked import Asked, asked_by
from mezzotint.gateway.generation import Generation, Ports
from mezzotint.runtime import calls
from mezzotint.runtime.errors import ServerDraining, ServerOverloaded
from mezzotint.runtime.interceptors.access import Principal

RETRY_AFTER_SECONDS = 2.0
# Of the drain time, readers get this part to hear the end of their generation; the rest is for hanging up in order.
DRAIN_PART = 0.8
SWEEP_SECONDS = 3600.0


class Generations:
    """Opens generations and keeps their tasks."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._tasks: set[asyncio.Task[None]] = set()
        self._readers: set[Generation] = set()
        # How many readers each generation has: a retry may join one whose first reader has not been missed yet.
        self._heard: Counter[str] = Counter()

    async def asked(self, caller: Principal, request: images_pb2.GenerateImagesRequest) -> Asked:
        """What a message asks for, to be opened; the message is not needed any more. Raises ServerOverloaded, FieldInvalid."""
        self._expect_room()
        return await asked_by(caller, request, self._ports.new_id, self._ports.randbelow)

    @contextmanager
    def open(self, asked: Asked) -> Iterator[Generation]:
        """A generation that runs. Leaving the block early cancels it, unless it is to be kept or somebody else listens."""
        self._expect_room()
        generation = Generation(asked, self._ports)
        self._spawn(generation.run())
        self._readers.add(generation)
        self._heard[generation.key] += 1
        try:
            yield generation
        finally:
            # No await in here: this runs also when the reader's task is cancelled or its generator collected.
            self._leave(generation, keep=asked.keep)

    async def drain(self, draining: asyncio.Event) -> None:
        """Once `draining` is set, give readers most of the drain time, then ServerDraining. Nothing is cancelled."""
        await draining.wait()
        grace_seconds = self._ports.settings.drain_seconds * DRAIN_PART
        live = {task for task in self._tasks if not task.done()}
        if live and grace_seconds:
            await asyncio.wait(live, timeout=grace_seconds)
        for generation in self._readers:
            # Said to its reader, it is over for us: leaving does not cancel it.
            generation.tell(ServerDraining("this gateway is stopping; call again with the same request id to go on"))

    async def sweep(self) -> None:
        """Delete pictures that came with requests and were forgotten, now and every hour, until cancelled."""
        while True:
            await self._ports.uploads.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    async def close(self) -> None:
        """End every task. Jobs go on in the queue; what is not settled yet ends with its reservation's time."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _expect_room(self) -> None:
        if len(self._tasks) >= self._ports.settings.generations_max:
            raise ServerOverloaded(
                f"this gateway follows {self._ports.settings.generations_max} generations already; try again in "
                f"{RETRY_AFTER_SECONDS:g} s",
                retry_after=RETRY_AFTER_SECONDS,
            )

    def _leave(self, generation: Generation, *, keep: bool) -> None:
        self._readers.discard(generation)
        self._heard[generation.key] -= 1
        others = self._heard[generation.key]
        if not others:
            del self._heard[generation.key]
        if generation.leave(cancel=not (keep or others)):
            self._spawn(generation.cancel())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # The reader's ids go along for the log; its deadline does not, since the work outlives it.
        context = copy_context()
        context.run(calls.deadline.set, None)
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
