"""The bounds on models' memory when several are loaded at the same time."""

import pytest

from mezzotint.inference.graphs.memory import FACTOR, MIB, Memory
from mezzotint.runtime.errors import LimitReached


def growing(total: int = 100) -> Memory:
    """Every look finds the process grown by 10 MiB."""
    resident = iter(range(0, 1000 * MIB, 10 * MIB))
    return Memory(total * MIB, total * MIB, resident=lambda: next(resident))


def test_models_loaded_side_by_side_keep_their_estimates() -> None:
    """Ensures that a model does not count with the memory of another one that was loaded meanwhile, whichever began first."""
    memory = growing()
    with memory.loading("first", 2 * MIB) as first, memory.loading("second", 3 * MIB) as second:
        pass
    assert (first.size, second.size) == (2 * MIB * FACTOR, 3 * MIB * FACTOR)
    with memory.loading("alone", 2 * MIB) as alone:
        pass
    assert alone.size == 10 * MIB


def test_a_model_that_is_being_loaded_counts() -> None:
    """Ensures that two loads at once cannot both take the last room."""
    memory = growing(total=25)
    with (
        memory.loading("first", 5 * MIB),
        pytest.raises(LimitReached, match=r"15\.0 MiB are taken"),
        memory.loading("second", 5 * MIB),
    ):
        raise AssertionError("there is no room")
    assert memory.held == 10 * MIB
