"""Times of waiting: the rate that is measured, and what is told of it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.queue.eta import OPEN_MAX, OUTCOMES_MIN, Forecast
from mezzotint.queue.rates import STALLED_SECONDS, GrantRate

LINE = "free/QUEUED"


def measured(seconds: int = 60, cost_ms: int = 2000) -> GrantRate:
    """A rate after a backlog of `seconds`, one grant a second."""
    rate = GrantRate()
    rate.observe(0, backlog=True)
    for second in range(1, seconds + 1):
        rate.observe(second, backlog=True, cost_ms=cost_ms)
    return rate


def test_no_rate_is_known_before_it_was_measured() -> None:
    """Ensures that a rate is absent until grants under backlog were seen, and that idle time says nothing."""
    rate = GrantRate()
    for second in range(100):
        rate.observe(second, backlog=False, cost_ms=1000)
    assert rate.per_second(100) is None
    rate.observe(100, backlog=True)
    for second in range(101, 110):
        rate.observe(second, backlog=True, cost_ms=2000)
    assert rate.per_second(110) == pytest.approx(2000, rel=0.15)


def test_the_rate_follows_the_present() -> None:
    """Ensures that an hour at one speed is outweighed by minutes at another."""
    rate = measured(3600, 1000)
    for second in range(3601, 3780):
        rate.observe(second, backlog=True, cost_ms=4000)
    assert rate.per_second(3780) == pytest.approx(4000, rel=0.1)


def test_nothing_is_promised_while_nothing_is_granted() -> None:
    """Ensures that the rate is unknown once jobs wait and none has started for far longer than usual, and known again after."""
    rate = measured()
    assert rate.per_second(60 + STALLED_SECONDS)
    assert rate.per_second(60 + STALLED_SECONDS + 1) is None
    rate.observe(75, backlog=True, cost_ms=2000)
    assert rate.per_second(75)


def test_long_jobs_are_no_stall() -> None:
    """Ensures that where a start comes every minute, half a minute without one is nothing unusual."""
    rate = GrantRate()
    rate.observe(0, backlog=True)
    for minute in range(1, 20):
        rate.observe(60 * minute, backlog=True, cost_ms=60_000)
    assert rate.per_second(60 * 19 + 120) is not None
    assert rate.per_second(60 * 19 + 400) is None


def test_the_ninetieth_percentile_is_absent_until_enough_has_come_to_pass() -> None:
    """Ensures that the queue does not tell how far it may be off before it has seen it."""
    forecast = Forecast()
    for index in range(OUTCOMES_MIN):
        assert forecast.eta(LINE, 10, 1).p90 is None
        forecast.expect(str(index), LINE, 0, 10, 1)
        forecast.start(str(index), 12)
    eta = forecast.eta(LINE, 10, 1)
    assert eta.p90 == pytest.approx(12)
    assert eta.p50 == pytest.approx(12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.floats(0.3, 4), st.floats(0.1, 1.5))
def test_nine_in_ten_start_inside_the_ninetieth_percentile(seed: int, bias: float, spread: float) -> None:
    """Ensures that the band holds whatever the waits are like, and although what they are like changes half way."""
    generator, forecast, inside = random.Random(seed), Forecast(), []
    for index in range(1500):
        plain = generator.uniform(16, 60)
        told = forecast.eta(LINE, plain, 0.5)
        forecast.expect(str(index), LINE, 0, plain, 0.5)
        wait = plain * bias * generator.lognormvariate(0, spread) * (1.0 if index < 750 else 1.5)
        forecast.start(str(index), wait)
        if told.p90 is not None:
            inside.append(wait <= told.p90)
            assert told.p50 <= told.p90
    assert 0.85 <= sum(inside) / len(inside) <= 0.95


def test_what_is_remembered_is_bounded() -> None:
    """Ensures that a million jobs that wait do not each leave an expectation, and that ended ones make room."""
    forecast = Forecast()
    for index in range(10 * OPEN_MAX):
        forecast.expect(str(index), LINE, 0, 10, 1)
    assert forecast.forget("0")
    assert not forecast.forget(str(OPEN_MAX))
    forecast.expect("late", LINE, 0, 10, 1)
    assert forecast.forget("late")


def test_waits_that_grow_are_noticed_before_they_end() -> None:
    """Ensures that jobs that have not started within what they were told raise what the next ones are told."""
    forecast = Forecast()
    for index in range(2 * OUTCOMES_MIN):
        forecast.expect(f"quick-{index}", LINE, index, 10, 1)
        forecast.start(f"quick-{index}", index + 10)
    before = forecast.eta(LINE, 10, 1).p90
    for index in range(OPEN_MAX):
        forecast.expect(f"stuck-{index}", LINE, 100 + index, 10, 1)
    forecast.expect("last", LINE, 300, 10, 1)
    after = forecast.eta(LINE, 10, 1).p90
    assert before
    assert after
    assert after > 1.5 * before
