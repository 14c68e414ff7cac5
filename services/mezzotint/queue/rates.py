"""How fast work is handed out when there is more of it than workers, for honest times of waiting."""

import math

# After this many seconds of backlog an observation counts half.
HALF_LIFE_SECONDS = 30.0
# No rate is given before this much was seen.
OBSERVED_SECONDS_MIN = 0.5
GRANTS_MIN = 3
# Nor once nothing was granted for so long, and for so many times the usual pause between two grants, though jobs wait.
STALLED_SECONDS = 10.0
STALLED_PAUSES = 5.0


class GrantRate:
    """Work granted a second while jobs had to wait. Times without a backlog say nothing about what is possible."""

    def __init__(self) -> None:
        self._cost_ms = 0.0
        self._seconds = 0.0
        self._grants = 0.0
        self._seen = 0
        self._since: float | None = None
        self._granted_at = 0.0

    def observe(self, now: float, *, backlog: bool, cost_ms: int = 0, grants: int = 1) -> None:
        """`grants` jobs of `cost_ms` together were granted at `now` (monotonic), and from now on jobs wait, or not."""
        if self._since is not None:
            fade = 0.5 ** (max(0.0, now - self._since) / HALF_LIFE_SECONDS)
            self._cost_ms = self._cost_ms * fade + cost_ms
            self._seconds = self._seconds * fade + (1 - fade) * HALF_LIFE_SECONDS / math.log(2)
            self._grants *= fade
            if cost_ms:
                self._grants += grants
                self._seen += grants
        if cost_ms or self._since is None:
            self._granted_at = now
        self._since = now if backlog else None

    def per_second(self, now: float) -> float | None:
        """Milliseconds of work granted a second; None while that is not known, or while nothing is being granted."""
        if self._seconds < OBSERVED_SECONDS_MIN or self._seen < GRANTS_MIN or self._cost_ms <= 0:
            return None
        if self._since is not None and now - self._granted_at > max(STALLED_SECONDS, STALLED_PAUSES * self.pause()):
            return None
        return self._cost_ms / self._seconds

    def pause(self) -> float:
        """The usual seconds between two grants; 0 while there was none."""
        return self._seconds / self._grants if self._grants else 0.0
