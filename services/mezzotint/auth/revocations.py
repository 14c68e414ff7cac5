"""The log of everything that made a verifier's cached answer wrong, and how verifiers follow it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum

from mezzotint.runtime.errors import ServerDraining

# Kept for verifiers that come back; one that missed more drops its whole cache instead.
HISTORY_MAX = 10_000
# The contract says one second; this leaves room for a busy machine.
HEARTBEAT_SECONDS = 0.5


class Target(Enum):
    """What a cached answer is dropped by."""

    CREDENTIAL = "credential"
    ACCOUNT = "account"


@dataclass(frozen=True)
class Revocation:
    """One change. Sequences begin at 1 and grow by one."""

    sequence: int
    target: Target
    target_id: str


@dataclass(frozen=True)
class Update:
    """What a watcher is told: a revocation, a heartbeat (no revocation), or to drop everything (`reset`)."""

    sequence: int
    revocation: Revocation | None = None
    reset: bool = False


class RevocationLog:
    """The last `history_max` revocations, in order. Belongs to one event loop."""

    def __init__(self, history_max: int = HISTORY_MAX) -> None:
        self.history_max = history_max
        self._entries: deque[Revocation] = deque(maxlen=history_max)
        self._changed = asyncio.Event()
        self.last = 0

    def restore(self, last: int, entries: Sequence[Revocation]) -> None:
        """Take over what was stored: the last sequence ever given, and the newest entries up to it."""
        assert not entries or entries[-1].sequence == last, "the stored history ends before the last sequence"
        self._entries.extend(entries)
        self.last = last

    def append(self, revocation: Revocation) -> None:
        """Add the next revocation and wake the watchers."""
        assert revocation.sequence == self.last + 1, f"revocation {revocation.sequence} follows {self.last}"
        self._entries.append(revocation)
        self.last = revocation.sequence
        self._changed.set()
        self._changed = asyncio.Event()

    def since(self, sequence: int) -> list[Revocation] | None:
        """The revocations after `sequence`; None when some are forgotten or `sequence` was never given."""
        oldest = self.last - len(self._entries)
        if not oldest <= sequence <= self.last:
            return None
        return [each for each in self._entries if each.sequence > sequence] if sequence < self.last else []

    async def watch(
        self, after: int, draining: asyncio.Event, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> AsyncGenerator[Update, None]:
        """All revocations after sequence `after`, then each as it happens, and a heartbeat when there is nothing more to tell.

        Ends with ServerDraining once `draining` is set.
        """
        seen = after
        while not draining.is_set():
            changed = self._changed  # taken before looking, so that nothing slips between looking and waiting
            missed = self.since(seen)
            if missed is None:
                seen = self.last
                yield Update(seen, reset=True)
            elif missed:
                for revocation in missed:
                    yield Update(revocation.sequence, revocation)
                seen = missed[-1].sequence
            else:
                yield Update(seen)
                await first_of(changed, draining, seconds=heartbeat_seconds)
        raise ServerDraining("the server is stopping; watch again from the last sequence")


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Wait until one of the events is set, or for `seconds`."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
