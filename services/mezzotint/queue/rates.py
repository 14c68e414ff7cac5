"""How fast work is handed out when there is more of it than workers, for honest times of waiting."""

import math

# After this many seconds of backlog an observation counts half.
HALF_LIFE_SECONDS = 30.0
# No rate is given before this much was seen.
OBSERVED_SECONDS_MIN = 0.5
GRANTS_MIN = 3


class GrantRate:
    """Work granted a second while jobs had to wait. Times without a backlog say nothing about what is possible."""

    def __init__(self) -> None:
        self._cost_ms = 0.0
        self._seconds = 0.0
        self._grants = 0
        self._since: float | None = None

    def observe(self, now: float, *, backlog: bool, cost_ms: int = 0) -> None:
        """`cost_ms` was granted at `now` (monotonic seconds), and from now on jobs have to wait, or not."""
        if self._since is not None:
            fade = 0.5 ** (max(0.0, now - self._since) / HALF_LIFE_SECONDS)
            self._cost_ms = self._cost_ms * fade + cost_ms
            self._seconds = self._seconds * fade + (1 - fade) * HALF_LIFE_SECONDS / math.log(2)
            self._grants += bool(cost_ms)
        self._since = now if backlog else None

    def wait(self, cost_ms: float) -> float | None:
        """Seconds until `cost_ms` of work is handed out; None while no rate is known."""
        if self._seconds < OBSERVED_SECONDS_MIN or self._grants < GRANTS_MIN or self._cost_ms <= 0:
            return None
        return cost_ms / (self._cost_ms / self._seconds)
