"""What the worker's credits go by."""

from mezzotint.inference.batching.capacity import Capacity


def test_free_counts_guided_pictures() -> None:
    """What is free is counted in pictures of two rows, never below none, and changes are told."""
    capacity, told = Capacity(8), []
    capacity.watch(lambda: told.append(capacity.free))
    capacity.take(3)
    assert capacity.free == 2
    capacity.take(20)
    assert capacity.free == 0
    capacity.give_back(20)
    capacity.give_back(3)
    assert told == [2, 4]


def test_nothing_is_free_while_decoding_lags_behind() -> None:
    """When more pictures wait for their pixels than one call has rows, nothing more is asked for until they come."""
    capacity, told = Capacity(2), []
    capacity.watch(lambda: told.append(capacity.free))
    for _ in range(3):
        capacity.begin_decoding()
    assert capacity.free == 0
    capacity.end_decoding()
    assert told == [1]


def test_there_are_slots_for_several_calls() -> None:
    """More pictures can be held than one call has rows for, while decoding is held to those of one."""
    capacity = Capacity(4, lambda: 2, calls=3)
    assert capacity.slots == capacity.free == 3
    capacity.take(4)
    assert capacity.free == 1
    for _ in range(3):
        capacity.begin_decoding()
    assert capacity.free == 0
