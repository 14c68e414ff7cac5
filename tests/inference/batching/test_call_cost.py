"""What rows cost, learned from calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.batching.call_cost import CallCost

CALLS = st.lists(st.tuples(st.integers(1, 8), st.floats(1e-4, 60.0)), max_size=300)


def after(calls: list[tuple[int, float]]) -> CallCost:
    cost = CallCost()
    for rows, seconds in calls:
        cost.learn(rows, seconds)
    return cost


def test_a_straight_line_is_found() -> None:
    """Calls on a line say by what part each size is longer than another."""
    cost = after([(rows, 6.0 + 7.0 * rows) for rows in (4, 1, 3, 2, 4)])
    assert cost.longer(1, 1) == pytest.approx(7 / 13)
    assert cost.longer(2, 2) == pytest.approx(14 / 20)


def test_what_changes_is_learned_anew() -> None:
    """Some hundred calls later those before hardly count."""
    before = [(rows, 10.0 * rows) for rows in (1, 2, 3, 4)] * 50
    cost = after(before + [(rows, 1.0) for rows in (1, 2, 3, 4)] * 200)
    assert cost.longer(1, 1) == pytest.approx(0.0, abs=0.02)


@given(rows=st.integers(1, 8), times=st.lists(st.floats(1e-4, 60.0), max_size=300))
def test_one_size_says_nothing_of_others(rows: int, times: list[float]) -> None:
    """While all calls had the same size, or there were none, a row more costs nothing."""
    assert after([(rows, seconds) for seconds in times]).longer(rows, 1) == 0.0


@given(calls=CALLS, rows=st.integers(1, 8), more=st.integers(1, 2))
def test_a_row_costs_no_less_than_nothing_and_no_more_than_another_call(
    calls: list[tuple[int, float]], rows: int, more: int
) -> None:
    """However calls differ, also when larger ones were faster."""
    assert 0.0 <= after(calls).longer(rows, more) <= more / rows * (1 + 1e-6)
