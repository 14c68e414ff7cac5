"""What the queue does about a peak: a controller with hysteresis over the waits of the tiers that are not deferred.

Pure; moments are of the monotonic clock.
"""

import math
from collections import Counter, deque
from enum import IntEnum

WINDOW_SECONDS = 60.0
SLOT_SECONDS = 1.0
# Waits are told apart to this part of themselves; shorter ones than the shortest not at all.
RESOLUTION = 1.05
SHORTEST_SECONDS = 0.001
# Fewer starts in the window say nothing.
STARTS_MIN = 5
# Too long for this long, or this many times too long, and jobs are deferred.
DEFER_AFTER_SECONDS = 10.0
DEFER_AT = 2.0
# Calm is a wait below this part of the objective; a step back is taken after so much of it.
CALM_PART = 0.8
CALM_SECONDS = 10.0
CALM_DEFERRING_SECONDS = 30.0
# After a peak, deferred jobs are admitted at the floor rate to begin with, then twice as fast every so often.
DOUBLING_SECONDS = 30.0
PACE_MAX = 2.0**20


class PeakMode(IntEnum):
    """The controller's states; the numbers are the contract's."""

    NORMAL = 1
    PRESSURED = 2
    DEFERRING = 3


class WaitWindow:
    """The waits of the last minute, as a histogram of each second of it."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, Counter[int]]] = deque()
        self._total: Counter[int] = Counter()

    def add(self, at: float, seconds: float) -> None:
        """A job started after `seconds`."""
        slot = math.floor(at / SLOT_SECONDS)
        if not self._slots or self._slots[-1][0] < slot:
            self._slots.append((slot, Counter()))
        bucket = math.ceil(math.log(max(1.0, seconds / SHORTEST_SECONDS), RESOLUTION))
        self._slots[-1][1][bucket] += 1
        self._total[bucket] += 1

    def p95(self, at: float) -> float | None:
        """The 95th percentile, rounded up by its resolution; None for too few starts."""
        while self._slots and self._slots[0][0] * SLOT_SECONDS < at - WINDOW_SECONDS:
            self._total -= self._slots.popleft()[1]
        count = self._total.total()
        if count < STARTS_MIN:
            return None
        rank = math.ceil(0.95 * count)
        for bucket in sorted(self._total):
            rank -= self._total[bucket]
            if rank <= 0:
                return float(SHORTEST_SECONDS * RESOLUTION**bucket) if bucket else 0.0
        raise AssertionError("the counts add up")


class PeakController:
    """NORMAL → PRESSURED → DEFERRING, and back one step at a time. Without an objective it stays NORMAL."""

    def __init__(self, objective: float | None) -> None:
        self.objective = objective
        self.mode = PeakMode.NORMAL
        self.p95: float | None = None
        self.pace = 1.0
        """How many times the floor rate deferred jobs are admitted at."""
        self._window = WaitWindow()
        self._loud_since: float | None = None
        self._calm_since: float | None = None
        self._updated: float | None = None

    def observe(self, at: float, wait: float) -> None:
        """A job of a tier that is not deferred started for the first time, after `wait` seconds."""
        self._window.add(at, wait)

    def update(self, at: float, *, waiting: bool, served: bool = True) -> PeakMode:
        """The mode from now on; `waiting`: jobs of tiers that are not deferred wait, so that no news is not good news.

        While nothing is `served` by any worker, earlier waits say nothing: nothing changes.
        """
        self.p95 = self._window.p95(at)
        loud, calm = self._weigh(waiting) if served else (False, False)
        self._loud_since = (at if self._loud_since is None else self._loud_since) if loud else None
        self._calm_since = (at if self._calm_since is None else self._calm_since) if calm else None
        following = self._following(at)
        if following is not self.mode:
            self.mode = following
            self._loud_since = at if loud else None
            self._calm_since = at if calm else None
        self._keep_pace(at)
        return self.mode

    def _weigh(self, waiting: bool) -> tuple[bool, bool]:
        """The wait is too long; the wait is well below its objective."""
        if self.objective is None:
            return False, True
        if self.p95 is None:
            return False, not waiting
        return self.p95 > self.objective, self.p95 < CALM_PART * self.objective

    def _following(self, at: float) -> PeakMode:
        loud = None if self._loud_since is None else at - self._loud_since
        calm = None if self._calm_since is None else at - self._calm_since
        match self.mode:
            case PeakMode.NORMAL if loud is not None:
                return PeakMode.PRESSURED
            case PeakMode.PRESSURED if loud is not None and (loud >= DEFER_AFTER_SECONDS or self._far_too_long()):
                return PeakMode.DEFERRING
            case PeakMode.PRESSURED if calm is not None and calm >= CALM_SECONDS:
                return PeakMode.NORMAL
            case PeakMode.DEFERRING if calm is not None and calm >= CALM_DEFERRING_SECONDS:
                return PeakMode.PRESSURED
        return self.mode

    def _far_too_long(self) -> bool:
        return self.p95 is not None and self.objective is not None and self.p95 > DEFER_AT * self.objective

    def _keep_pace(self, at: float) -> None:
        """The ramp: back to the floor rate at a peak, growing in calm, held otherwise."""
        if self.mode is PeakMode.DEFERRING:
            self.pace = 1.0
        elif self.mode is PeakMode.NORMAL and self._calm_since is not None and self._updated is not None:
            self.pace = min(PACE_MAX, self.pace * 2.0 ** ((at - self._updated) / DOUBLING_SECONDS))
        self._updated = at
