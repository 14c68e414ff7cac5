"""The work that each tier was granted lately. Pure."""

import math
from collections import defaultdict

# Shares of granted work are measured over about this long.
WINDOW_SECONDS = 60.0


class RecentGrants:
    """Milliseconds of work by tier, over the last minute or so: what is older counts less and less."""

    def __init__(self) -> None:
        self.work_ms: dict[str, float] = defaultdict(float)
        self._seen = 0.0

    def add(self, name: str, cost_ms: float, now: float) -> None:
        """A tier was granted so much at `now`, in seconds; a clock that was set back fades nothing."""
        if now > self._seen:
            fade = math.exp((self._seen - now) / WINDOW_SECONDS)
            for other in self.work_ms:
                self.work_ms[other] *= fade
        self._seen = now
        self.work_ms[name] += cost_ms
