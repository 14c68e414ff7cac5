"""How full the queue is and how it fares: read by those who watch, and by the metrics."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mezzotint.queue.census import Census, TierCount
from mezzotint.queue.pauses import Pauses
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.roster import Roster
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.runtime.errors import ServerDraining


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier. `aged` counts the jobs moved up because they had waited for too long."""

    count: TierCount
    paused: bool
    aged: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The whole queue. Waits are in seconds; 0: nothing is known, or nothing is promised."""

    tiers: Sequence[TierStats]
    workers: int
    credits: int
    peak_mode: PeakMode
    paid_wait_p95: float
    paid_wait_objective: float


class StatsBoard:
    """Reads the figures where they are kept. `draining` ends those who watch."""

    def __init__(self, census: Census, room: WaitingRoom, pauses: Pauses, roster: Roster, draining: asyncio.Event) -> None:
        self._census = census
        self._room = room
        self._pauses = pauses
        self._roster = roster
        self._draining = draining

    def read(self) -> Stats:
        """The figures of now."""
        workers, moved_up, peak = self._roster.all(), self._room.kinds.aged(), self._room.peak
        return Stats(
            [TierStats(each, each.tier in self._pauses.tiers, moved_up[each.tier]) for each in self._census.tiers()],
            len(workers),
            sum(worker.credits for worker in workers),
            peak.mode,
            peak.p95 or 0.0,
            peak.objective or 0.0,
        )

    async def watch(self, interval: float) -> AsyncIterator[Stats]:
        """The figures, every `interval` seconds. Raises ServerDraining when the server stops."""
        while not self._draining.is_set():
            yield self.read()
            try:
                async with asyncio.timeout(interval):
                    await self._draining.wait()
            except TimeoutError:
                continue
        raise ServerDraining("the queue is stopping; watch again")
