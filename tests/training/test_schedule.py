"""A run warms up, holds and falls to zero, by its steps or by the clock, and can be asked to go on from before the fall."""

import time

import pytest

from training.aquatint.schedule import Schedule


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    schedule = Schedule(learning_rate=1.0, steps=1000, fall_share=0.25, warm_up_steps=100)
    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(99) == schedule.rate(500) == schedule.rate(750) == 1.0
    assert schedule.rate(875) == pytest.approx(0.5)
    assert schedule.rate(1000) == 0


def test_the_fall_is_told() -> None:
    schedule = Schedule(learning_rate=1.0, steps=1000)
    assert not schedule.is_falling(750)
    assert schedule.is_falling(751)


def test_by_the_clock_the_steps_do_not_count() -> None:
    now = time.monotonic()
    schedule = Schedule(learning_rate=1.0, steps=10, minutes=60, started=now - 30 * 60)
    assert schedule.done(1_000_000) == pytest.approx(0.5, abs=0.01)
    assert Schedule(learning_rate=1.0, steps=10, minutes=60, started=now - 61 * 60).done(1) == 1
