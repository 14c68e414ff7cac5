"""Calls that the device refuses are made in halves."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.models.pieces import Pieces
from mezzotint.runtime.errors import Internal

Floats = npt.NDArray[np.float32]


class Device:
    """Doubles what it is given, and refuses calls with too many numbers; `sizes` are the rows of its calls."""

    def __init__(self, numbers_max: int) -> None:
        self.numbers_max = numbers_max
        self.sizes: list[int] = []

    def __call__(self, **inputs: Floats) -> list[Floats]:
        self.sizes.append(len(inputs["x"]))
        if inputs["x"].size > self.numbers_max:
            raise Internal("out of memory")
        return [2 * inputs["x"] + inputs["t"][:, None]]


def feed(rows: int, width: int = 1) -> dict[str, Floats]:
    """A feed whose every number is another."""
    return {"x": np.arange(rows * width, dtype=np.float32).reshape(rows, width), "t": np.arange(rows, dtype=np.float32)}


@given(st.integers(1, 20), st.integers(1, 20))
def test_the_result_is_that_of_one_call(rows: int, possible: int) -> None:
    """However few rows the device takes, all rows get their result, in their order, and the largest that works is kept to."""
    asked, pieces = feed(rows), Pieces(device := Device(possible), "tiny@1")
    np.testing.assert_array_equal(pieces(asked, (1,)), 2 * asked["x"] + asked["t"][:, None])
    kept = pieces.rows_max((1,))
    assert (kept is None) == (rows <= possible)
    assert kept is None or possible / 2 < kept <= possible
    device.sizes.clear()
    pieces(asked, (1,))
    assert max(device.sizes) <= possible


def test_sizes_have_limits_of_their_own() -> None:
    """What is too much for large pictures is not for small ones."""
    pieces = Pieces(Device(8), "tiny@1")
    assert pieces(feed(4, 4), (4,)).shape == (4, 4)
    assert (pieces.rows_max((4,)), pieces.rows_max((1,))) == (2, None)


def test_one_row_that_is_refused_is_told() -> None:
    """Nothing is left to try then: the reason is the device's, and a later call may work."""
    pieces = Pieces(device := Device(0), "tiny@1")
    with pytest.raises(Internal, match="out of memory"):
        pieces(feed(4), (1,))
    device.numbers_max = 1
    assert pieces(feed(2), (1,)).shape == (2, 1)
