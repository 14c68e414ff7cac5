"""Clocks that jump, and the time that limits see."""

from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit.limit import NANOSECONDS
from mezzotint.ratelimit.moments import Moments
from tests.support.clock import ManualClock

HOUR = 3600
# Seconds that pass, and by how much the wall clock is set.
turns = st.lists(st.tuples(st.integers(0, 1000), st.integers(-HOUR, HOUR)), max_size=40)


@given(turns)
def test_time_never_goes_back_nor_stands_still(turned: list[tuple[int, int]]) -> None:
    """Ensures that, however the clock is set, time goes on at half speed at least and is never behind the wall clock."""
    clock = ManualClock()
    moments = Moments(clock)
    last = moments.read()
    for seconds, step in turned:
        clock.advance(seconds)
        clock.step(step)
        now = moments.read()
        assert now.steady_ns - last.steady_ns == seconds * NANOSECONDS
        assert now.wall_ns - last.wall_ns >= seconds * NANOSECONDS // 2
        assert now.wall_ns >= int(clock.now()) * NANOSECONDS
        last = now


def test_a_clock_that_was_set_back_catches_up() -> None:
    """Ensures that twice the step later all is as if nothing had been."""
    clock = ManualClock()
    moments = Moments(clock)
    clock.step(-HOUR)
    for _ in range(60):
        clock.advance(60)
        moments.read()
    assert moments.ahead_ns() == HOUR // 2 * NANOSECONDS
    clock.advance(HOUR)
    moments.read()
    assert moments.ahead_ns() == 0


def test_time_goes_on_from_the_last_run() -> None:
    """Ensures that a clock set back while the service was down does not take time back either."""
    clock = ManualClock()
    known = int(clock.now() + HOUR) * NANOSECONDS
    assert Moments(clock, known).read().wall_ns == known
