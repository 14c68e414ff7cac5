"""The batcher: pure, so that every order of arrivals, ends and calls can be tried."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.inference.tensors.batcher import Batcher, Key
from mezzotint.runtime.errors import ServerOverloaded

ROWS_MAX, DELAY, SIZE_MAX, LEVELS = 8, 1.0, 12, 3


@dataclass(eq=False)
class Request:
    arrived: float
    rows: int = 1
    key: Key = ()
    level: int = 0
    expires: float | None = None


def batcher(rows_max: int = ROWS_MAX, delay: float = DELAY) -> Batcher[Request]:
    return Batcher(rows_max, delay, SIZE_MAX, LEVELS)


def test_a_full_call_does_not_wait() -> None:
    """Ensures that a call goes once its rows are all there, however young they are."""
    queue = batcher()
    for _ in range(7):
        queue.add(Request(0.0))
    assert queue.take(0.0) == []
    queue.add(Request(0.0))
    assert len(queue.take(0.0)) == 8


def test_a_call_that_is_not_full_waits_no_longer_than_the_delay() -> None:
    """Ensures that the oldest request sets the time, which `wake` tells."""
    queue = batcher()
    queue.add(Request(5.0))
    queue.add(Request(5.9))
    assert queue.wake() == 6.0
    assert queue.take(5.999) == []
    assert len(queue.take(6.0)) == 2
    assert queue.wake() is None


def test_only_equal_keys_share_a_call() -> None:
    """Ensures that requests of other shapes wait for a call of their own."""
    queue = batcher(delay=0)
    first, other, second = Request(0.0, key=((1,),)), Request(0.1, key=((2,),)), Request(0.2, key=((1,),))
    for each in (first, other, second):
        queue.add(each)
    assert queue.take(1.0) == [first, second]
    assert queue.take(1.0) == [other]


def test_without_batches_each_request_has_its_call() -> None:
    """Ensures that a model that does not batch is called once a request, in order."""
    queue = batcher(rows_max=0, delay=0)
    requests = [Request(float(number)) for number in range(3)]
    for each in requests:
        queue.add(each)
    assert [queue.take(9.0) for _ in range(4)] == [[requests[0]], [requests[1]], [requests[2]], []]


def test_lower_levels_go_first() -> None:
    """Ensures that priority acts before arrival, within a call and between calls."""
    queue = batcher(rows_max=2, delay=0)
    late, early, middle = Request(0.0, level=2), Request(0.2, level=0), Request(0.1, level=1)
    for each in (late, middle, early):
        queue.add(each)
    assert queue.take(1.0) == [early, middle]
    assert queue.take(1.0) == [late]


def test_a_full_queue_refuses() -> None:
    """Ensures that no more wait than may, and that a place is free again once one left."""
    queue = batcher(rows_max=0)
    requests = [Request(0.0) for _ in range(SIZE_MAX)]
    for each in requests:
        queue.add(each)
    with pytest.raises(ServerOverloaded, match="12 requests wait"):
        queue.add(Request(0.0))
    assert queue.drop(requests[3])
    assert not queue.drop(requests[3])
    queue.add(Request(0.0))


def test_requests_expire() -> None:
    """Ensures that those whose time is over leave the queue, at the moment that `next_expiry` tells."""
    queue = batcher()
    short, long = Request(0.0, expires=0.5), Request(0.0)
    queue.add(long)
    queue.add(short)
    assert queue.next_expiry() == queue.wake() == 0.5
    assert queue.expired(0.4) == []
    assert queue.expired(0.5) == [short]
    assert queue.next_expiry() is None
    assert queue.take(2.0) == [long]


ARRIVAL = st.tuples(
    st.just("add"), st.integers(0, ROWS_MAX), st.integers(0, 2), st.integers(0, LEVELS - 1), st.sampled_from([None, 0.5, 2.0])
)
STEPS = st.lists(st.one_of(ARRIVAL, st.tuples(st.sampled_from(["take", "drop", "wait", "expire"]))), max_size=60)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([0, 1, 3, ROWS_MAX]))
def test_every_request_leaves_once_and_calls_keep_their_limits(steps: list[tuple[object, ...]], rows_max: int) -> None:
    """Ensures in every order of events that nobody is lost or served twice, and that calls keep key, rows and order."""
    queue, now, waiting = batcher(rows_max), 0.0, list[Request]()
    for step in steps:
        if step[0] == "add" and len(waiting) < SIZE_MAX:
            _, rows, key, level, life = step
            expires = None if life is None else now + float(str(life))
            each = Request(now, min(int(str(rows)), rows_max or 1), ((int(str(key)),),), int(str(level)), expires)
            queue.add(each)
            waiting.append(each)
        elif step[0] == "wait":
            now += 0.4
        elif step[0] == "drop" and waiting:
            assert queue.drop(waiting.pop(len(waiting) // 2))
        elif step[0] == "expire":
            for each in queue.expired(now):
                assert each.expires is not None
                assert each.expires <= now
                waiting.remove(each)
            assert not [each for each in waiting if each.expires is not None and each.expires <= now]
        elif step[0] == "take":
            taken = queue.take(now)
            check(taken, waiting, rows_max, now)
            waiting = [each for each in waiting if each not in taken]
        assert queue.size == len(waiting)
        wake = queue.wake()
        assert (wake is None) == (not waiting)
    # Whoever is left is served within as many calls once all are due.
    for _ in range(len(waiting)):
        taken = queue.take(now + 10 * DELAY)
        waiting = [each for each in waiting if each not in taken]
    assert not waiting
    assert queue.size == 0


def check(taken: list[Request], waiting: list[Request], rows_max: int, now: float) -> None:
    """One call is right given who waited."""
    overdue = [each for each in waiting if now >= each.arrived + DELAY]
    if not taken:
        assert not (overdue if rows_max else waiting)
        return
    assert set(map(id, taken)) <= set(map(id, waiting))
    assert len({each.key for each in taken}) == 1
    assert len(taken) == 1 or sum(each.rows for each in taken) <= rows_max
    order = [(each.level, waiting.index(each)) for each in taken]
    assert order == sorted(order)
    passed = [each for each in waiting if each.key == taken[0].key and each not in taken]
    assert all((each.level, waiting.index(each)) > order[-1] for each in passed)
