"""Sums over the last minute."""

import math
from collections import Counter, deque

from mezzotint.runtime.clock import Clock

WINDOW_SECONDS = 60


class Minute:
    """Amounts by name, summed over the last minute, to the second. On the clock that no step of the wall clock moves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._seconds: deque[tuple[int, Counter[str]]] = deque()
        self._totals: Counter[str] = Counter()

    def add(self, name: str, amount: int) -> None:
        """So much more."""
        second = self._forget()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][name] += amount
        self._totals[name] += amount

    def totals(self) -> Counter[str]:
        """The sums."""
        self._forget()
        return self._totals

    def rate(self, name: str) -> float:
        """The sum a second; before a minute has passed, over the time since the beginning, a second at least."""
        self._forget()
        return self._totals[name] / max(1.0, min(float(WINDOW_SECONDS), self._clock.monotonic() - self._began))

    def _forget(self) -> int:
        """Drop what is older than a minute; gives the second it is."""
        second = math.floor(self._clock.monotonic())
        while self._seconds and self._seconds[0][0] <= second - WINDOW_SECONDS:
            self._totals.subtract(self._seconds.popleft()[1])
        return second
