"""How many urgent pictures others can make way for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.work.urgency import ROWS, urgent

PRIORITIES = {"enterprise": 0, "pro": 0, "plus": 1, "free": 2}
PAID, BEST = ("enterprise", "plus", "pro"), ("enterprise", "pro")


@pytest.mark.parametrize(
    ("held", "over", "expected"),
    [
        # Nobody is held, or only the best.
        ([], 0, (0, ())),
        ([(0, 8)], 0, (0, ())),
        # Free pictures make way for all that pay.
        ([(2, 2), (2, 2)], 0, (2, PAID)),
        # One of them does already.
        ([(2, 2), (2, 2), (0, 2)], 2, (1, PAID)),
        ([(2, 2), (2, 2), (1, 2), (1, 2)], 4, (2, BEST)),
        # Pictures of one request that wait here themselves take no slot.
        ([(2, 20)], 12, (4, PAID)),
        # A picture without guidance is half of one with.
        ([(2, 1)], 0, (0, ())),
        ([(2, 1), (2, 1)], 0, (1, PAID)),
        # Tiers that the settings do not name go last; calls from elsewhere fill the worker.
        ([(2, 2)], 40, (0, ())),
    ],
)
def test_urgent(held: list[tuple[int, int]], over: int, expected: tuple[int, tuple[str, ...]]) -> None:
    """As many as less urgent ones take slots, of as many tiers as that holds for."""
    assert urgent(held, over, PRIORITIES) == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=8), st.integers(0, 30))
def test_nobody_makes_way_for_equals(held: list[tuple[int, int]], over: int) -> None:
    """Whatever is held, what is asked for would find slots of pictures that are less urgent, and no more of them."""
    count, tiers = urgent(held, over, PRIORITIES)
    worst = max((PRIORITIES[tier] for tier in tiers), default=0)
    assert count * ROWS <= max(0, sum(rows for priority, rows in held if priority > worst) - over)
    assert bool(count) == bool(tiers)


def test_without_priorities_nobody_makes_way() -> None:
    """Where pictures keep their slots nothing is urgent."""
    assert urgent([(2, 2)], 0, {}) == (0, ())
