"""What the queue does by itself: looks after time, forgets old jobs, and stops in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.engine import Engine
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.roster import Roster
from mezzotint.queue.watching import WatchHub
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import ServerDraining, StorageFull

# Old jobs are dropped in batches of this size with pauses between, so that nobody waits for it.
FORGET_BATCH = 200
FORGET_PAUSE_SECONDS = 0.05
FORGET_EVERY_SECONDS = 60.0
# How often the policy file is looked at.
POLICY_EVERY_SECONDS = 1.0
# Of the time a stopping server has, the part in which workers may finish.
DRAIN_PART = 0.8
Chore = Callable[[], Awaitable[None]]


class Retention:
    """Forgets jobs that were final for `seconds`."""

    def __init__(self, engine: Engine, clock: Clock, seconds: float) -> None:
        self._engine = engine
        self._clock = clock
        self._seconds = seconds

    async def sweep(self) -> None:
        """Drop everything that is old enough."""
        dropped = FORGET_BATCH
        while dropped == FORGET_BATCH:
            try:
                dropped = await self._engine.forget(self._clock.now() - self._seconds, FORGET_BATCH)
            except StorageFull:
                return
            await asyncio.sleep(FORGET_PAUSE_SECONDS)


class Upkeep:
    """Looks at the clock every `seconds`, and does each chore every so many seconds. A defect ends `run`, and the process."""

    def __init__(self, ticks: Sequence[Callable[[], None]], seconds: float, chores: Sequence[tuple[Chore, float]]) -> None:
        self._ticks = ticks
        self._seconds = seconds
        self._chores = chores

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            for chore, seconds in self._chores:
                group.create_task(self._repeat(chore, seconds))

    async def _tick(self) -> None:
        while True:
            for tick in self._ticks:
                tick()
            await asyncio.sleep(self._seconds)

    async def _repeat(self, chore: Chore, seconds: float) -> None:
        while True:
            await chore()
            await asyncio.sleep(seconds)


class Closing:
    """The orderly end: no new leases, workers finish what they hold for a while, watchers are sent away."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        keeper: LeaseKeeper,
        roster: Roster,
        hub: WatchHub,
        failed: asyncio.Future[None],
        seconds: float,
    ) -> None:
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._roster = roster
        self._hub = hub
        self._failed = failed
        self._seconds = seconds * DRAIN_PART

    async def when(self, draining: asyncio.Event) -> None:
        """Do so once `draining` is set.

        Workers not done after most of the drain time keep their leases. Once the store has failed nobody is waited for.
        """
        await draining.wait()
        self._dispatcher.draining = True
        self._hub.drain()
        for worker in self._roster.all():
            worker.drain()
        idle = asyncio.create_task(self._keeper.idle())
        await asyncio.wait([idle, self._failed], timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        for worker in list(self._roster.all()):
            worker.close(ServerDraining("the queue is stopping; come back with the leases you hold"))
