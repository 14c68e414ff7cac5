"""A clock that stands still until a test turns it."""

from collections.abc import Callable
from itertools import count


class ManualClock:
    """Both clocks of mezzotint.runtime.clock.Clock, at 2026-01-01 12:00:00 UTC and 1,000 s to begin with."""

    def __init__(self, now: float = 1_767_268_800.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back without time passing."""
        self._now += seconds


def counting_ids() -> Callable[[str], str]:
    """Ids in order: "job_000001", "job_000002", …"""
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers):06d}"
