"""A worker's end of its stream: what it can take, and what is on its way to it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

from msgspec import Struct

from mezzotint.queue.job import Job
from mezzotint.queue.leases import LeaseRef
from mezzotint.runtime.errors import ProtocolViolation

CREDITS_MAX = 1024
LEASES_MAX = 1024
# With so many messages not taken yet, nothing more is read from the worker and no job goes to it.
OUTBOX_MAX = 2048


class Leased(Struct, frozen=True, gc=False):
    """Jobs for the worker, with their payloads; `urgent` ones used no credit."""

    jobs: Sequence[tuple[Job, bytes]]
    urgent: bool = False


class Withdrawn(Struct, frozen=True, gc=False):
    """The worker stops work on a job."""

    ref: LeaseRef
    reason: str


class Settlement(Struct, frozen=True, gc=False):
    """What became of the end of a lease that the worker told; `reason` says why when it was refused."""

    ref: LeaseRef
    accepted: bool
    reason: str = ""


class DrainOrder(Struct, frozen=True, gc=False):
    """The worker finishes or hands back what it holds and closes the stream."""


Message = Leased | Withdrawn | Settlement | DrainOrder


class Worker:
    """One open stream. `starting` counts jobs that are being leased to it, `settling` the ends of leases being kept.

    `slots` is how many jobs it says it can work on at once, 0 when it does not; nothing is decided by it.
    """

    def __init__(self, worker_id: str, kinds: Sequence[str], slots: int = 0) -> None:
        self.worker_id = worker_id
        self.kinds = tuple(kinds)
        self.slots = slots
        self.draining = False
        self.silent = False
        """It let a lease run out and was not heard since: whatever it is sent may go nowhere."""
        self.credits = 0
        self.urgent, self.urgent_tiers = 0, frozenset[str]()
        self.starting = 0
        self.settling: Counter[LeaseRef] = Counter()
        self.closed = False
        self.error: Exception | None = None
        self._outbox: list[Message] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._settled = asyncio.Event()

    def grant(self, jobs: int) -> None:
        """The worker can take more. Raises ProtocolViolation beyond CREDITS_MAX."""
        if self.credits + jobs > CREDITS_MAX:
            raise ProtocolViolation(
                f"{self.credits} credits are unused and {jobs} more come; at most {CREDITS_MAX} may be unused"
            )
        self.silent = False
        self.credits += jobs

    def urge(self, jobs: int, tiers: Collection[str]) -> None:
        """The worker can take so many jobs of these tiers besides those of its credits, and no longer what it said before."""
        self.urgent, self.urgent_tiers = jobs, frozenset(tiers)

    def send(self, message: Message) -> None:
        """Put a message on its way; dropped when the stream is over."""
        if self.closed:
            return
        self._outbox.append(message)
        self._filled.set()
        if self.full:
            self._emptied.clear()

    def settle(self, settlement: Settlement) -> None:
        """Answer the end of a lease."""
        self.settling[settlement.ref] -= 1
        if not self.settling[settlement.ref]:
            del self.settling[settlement.ref]
        self.send(settlement)
        self._settled.set()

    async def settled(self, left_max: int) -> None:
        """Wait until no more than so many ends of leases are still being kept; one that is told twice counts twice."""
        while self.settling.total() > left_max:
            self._settled.clear()
            await self._settled.wait()

    def drain(self) -> None:
        """The worker is to stop, and gets no more jobs on this stream."""
        self.draining = True
        self.send(DrainOrder())

    @property
    def full(self) -> bool:
        """The worker does not take its messages fast enough."""
        return len(self._outbox) >= OUTBOX_MAX

    @property
    def takes_jobs(self) -> bool:
        """The worker can be sent jobs, as far as its credits go."""
        return not (self.full or self.closed or self.draining or self.silent)

    async def room(self) -> None:
        """Wait until the worker has taken enough messages."""
        await self._emptied.wait()

    async def take(self) -> list[Message]:
        """All messages on their way, once there is one; none when the stream is over. Raises the error that ended it."""
        while not self._outbox:
            if self.closed:
                if self.error:
                    raise self.error
                return []
            self._filled.clear()
            await self._filled.wait()
        messages, self._outbox = self._outbox, []
        self._emptied.set()
        return messages

    def close(self, error: Exception | None = None) -> None:
        """End the stream, with `error` if there is one, once the messages on their way are taken."""
        if self.closed:
            return
        self.closed, self.error = True, error
        self._filled.set()
        self._emptied.set()
