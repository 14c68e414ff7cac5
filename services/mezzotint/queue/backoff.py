"""How long to wait before another attempt."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long after each attempt, from `base` to `longest` seconds, of which `random` (0 to 1) takes up to half away."""

    base: float
    longest: float
    random: Callable[[], float]

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the attempt with this number, from 1."""
        return min(self.longest, self.base * 2.0 ** (attempt - 1)) * (1.0 - self.random() / 2)
