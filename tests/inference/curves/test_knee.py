"""Where the knee of t(batch) is taken to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.curves.knee import GAIN_MIN, ROWS_MIN, batches, knee_of


@pytest.mark.parametrize(
    ("step_ms", "rows"),
    [
        # Every row takes the same time again: batching gains nothing, and two rows are what a picture may need.
        ({1: 10, 2: 20, 4: 40, 8: 80}, 2),
        # More rows take no more time.
        ({1: 10, 2: 10, 4: 10, 8: 10}, 8),
        # As measured on two cores: eight rows draw no more than four in the same time.
        ({1: 17.8, 2: 31.8, 4: 45.4, 8: 93.3}, 4),
        # A dip on the way does not hide that more rows are worth it.
        ({1: 10, 2: 19, 4: 20, 8: 45, 16: 60}, 16),
        # A gain too small to wait longer for.
        ({1: 10, 2: 15, 4: 28.5}, 2),
        # The device refused more than one row at a time.
        ({1: 10}, 2),
    ],
)
def test_knee(step_ms: dict[int, float], rows: int) -> None:
    """The knee is the last batch that draws at least a tenth more in the same time than any smaller one."""
    assert knee_of(step_ms) == rows


@given(st.dictionaries(st.integers(1, 64), st.floats(0.01, 1e4), min_size=1))
def test_nothing_beyond_the_knee_is_worth_it(step_ms: dict[int, float]) -> None:
    """Whatever is measured, no larger batch gains what is asked for over the best up to the knee."""
    knee = knee_of(step_ms)
    assert knee == ROWS_MIN or knee in step_ms
    best = max((rows / ms for rows, ms in step_ms.items() if rows <= knee), default=0.0)
    assert all(rows / ms < best * (1 + GAIN_MIN) for rows, ms in step_ms.items() if rows > max(knee, min(step_ms)))


@pytest.mark.parametrize(("rows_max", "sizes"), [(2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_measured_batches(rows_max: int, sizes: list[int]) -> None:
    """Batches double up to the greatest, which is always among them."""
    assert batches(rows_max) == sizes
