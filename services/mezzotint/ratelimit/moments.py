"""The clocks as limits need them: neither ever goes back, whatever happens to the machine's wall clock."""

from mezzotint.ratelimit.limit import NANOSECONDS, Moment
from mezzotint.runtime.clock import Clock


class Moments:
    """Reads a clock. `wall_ns` is the latest wall time known from before, for a start after the clock was set back.

    When the wall clock is set back, the time given out goes on at half speed until the clock has caught up. So no calendar
    window comes twice, which would hand out its quota twice, and none stands still either.
    """

    def __init__(self, clock: Clock, wall_ns: int = 0) -> None:
        self._clock = clock
        self._last = Moment(nanoseconds(clock.monotonic()), max(nanoseconds(clock.now()), wall_ns))

    def read(self) -> Moment:
        """Now."""
        steady_ns = max(self._last.steady_ns, nanoseconds(self._clock.monotonic()))
        slowed_ns = self._last.wall_ns + (steady_ns - self._last.steady_ns) // 2
        self._last = Moment(steady_ns, max(nanoseconds(self._clock.now()), slowed_ns))
        return self._last

    def ahead_ns(self) -> int:
        """How far the time given out is ahead of the wall clock, because that was set back."""
        return max(0, self._last.wall_ns - nanoseconds(self._clock.now()))


def nanoseconds(seconds: float) -> int:
    """Seconds in whole nanoseconds."""
    return int(seconds * NANOSECONDS)
