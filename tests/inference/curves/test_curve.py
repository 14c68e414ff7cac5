"""What times of calls come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.curves.curve import FIRST_ROUNDS, Measured, measured_of
from mezzotint.inference.curves.knee import knee_of

TRUE_MS = {1: 10.0, 2: 12.0, 4: 16.0, 8: 32.0}


@given(st.lists(st.floats(1.0, 3.0), min_size=3, max_size=8), st.integers(0, 7))
def test_what_else_the_machine_does_does_not_move_the_knee(slowed: list[float], quiet: int) -> None:
    """As long as one round was undisturbed the curve is the true one, and the spread tells that the others were not."""
    slowed[quiet % len(slowed)] = 1.0
    measured = measured_of({rows: [ms * by for by in slowed] for rows, ms in TRUE_MS.items()})
    assert measured.step_ms == TRUE_MS
    assert knee_of(measured.step_ms) == 4
    assert measured.spread == pytest.approx(sorted_middle(slowed[FIRST_ROUNDS:]) - 1)


def sorted_middle(values: list[float]) -> float:
    """The median."""
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def test_first_rounds_do_not_count_as_spread() -> None:
    """Making room in memory, and recording graphs, is no sign of a busy machine."""
    assert measured_of({1: [500.0, 80.0, 10.0, 10.0, 10.0], 2: [900.0, 90.0, 12.0, 12.0, 12.6]}).spread == 0.0


def test_the_least_of_several_starts_counts() -> None:
    """What one start measured while the machine was busy, another one puts right, size by size."""
    busy = Measured({1: 10.0, 2: 30.0, 4: 40.0}, spread=0.9, starts=2)
    later = Measured({1: 14.0, 2: 12.0, 4: 16.0}, spread=0.1)
    assert later.with_earlier(busy) == Measured({1: 10.0, 2: 12.0, 4: 16.0}, spread=0.1, starts=3)
