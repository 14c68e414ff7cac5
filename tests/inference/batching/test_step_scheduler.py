"""Step-level batching: who is in a call, who has to make way, and that everybody comes back."""

from collections import Counter

import pytest

from mezzotint.inference.batching.scheduler import Scheduler, Ticket
from mezzotint.inference.batching.step_scheduler import PATIENCE, PATIENCE_WITH_BETTER, SlotScheduler
from tests.inference.batching.tickets import calls, numbers, ticket


def test_pictures_join_and_leave_at_every_step() -> None:
    """One that comes later shares the very next call with one that is under way, and a slot that is free is taken at once."""
    scheduler = SlotScheduler(2)
    scheduler.add([ticket(1, steps=2)])
    assert numbers(scheduler.schedule()) == [1]
    scheduler.add([ticket(2, steps=2), ticket(3, priority=1)])
    scheduler.update()
    assert sorted(numbers(scheduler.schedule())) == [1, 2]
    scheduler.update()
    assert sorted(numbers(scheduler.schedule())) == [2, 3]


def test_shapes_take_turns() -> None:
    """Shapes whose calls take the same time have them in turn."""
    scheduler = SlotScheduler(2)
    scheduler.add([ticket(number, "a", steps=9) for number in range(9)] + [ticket(99, "b", steps=2)])
    assert [call != [99] for call in calls(scheduler, 4)] == [True, False, True, False]


def test_shapes_get_equal_time_not_equal_calls() -> None:
    """Calls that take four times as long come a quarter as often."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, "large", steps=100), ticket(2, "small", steps=100)])
    made: Counter[str] = Counter()
    for _ in range(50):
        batch = scheduler.schedule()
        assert batch is not None
        made[batch.shape] += 1
        scheduler.update(seconds=4.0 if batch.shape == "large" else 1.0)
    assert made["small"] == pytest.approx(4 * made["large"], abs=4)


def test_nobody_saves_up_turns() -> None:
    """A shape that comes late gets its half from then on, and not all of the device until it has caught up."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, "a", steps=1000)])
    calls(scheduler, 0)
    for _ in range(100):
        scheduler.schedule()
        scheduler.update(seconds=1.0)
    scheduler.add([ticket(2, "b", steps=1000)])
    made: Counter[str] = Counter()
    for _ in range(20):
        batch = scheduler.schedule()
        assert batch is not None
        made[batch.shape] += 1
        scheduler.update(seconds=1.0)
    assert made == {"a": 10, "b": 10}


def test_a_better_priority_takes_a_slot_and_gives_it_back() -> None:
    """At the next step it is in, the worst is out; that one goes on where it was."""
    scheduler = SlotScheduler(2)
    scheduler.add([ticket(1, steps=3, priority=1), ticket(2, steps=9, priority=2)])
    scheduler.schedule()
    scheduler.update()
    scheduler.add([ticket(4, steps=1, priority=0)])
    batch = scheduler.schedule()
    assert batch is not None
    assert sorted(numbers(batch)) == [1, 4]
    (aside,) = batch.aside
    assert (aside.ticket.number, aside.done) == (2, 1)
    assert scheduler.aside == 1
    scheduler.update()
    batch = scheduler.schedule()
    assert batch is not None
    assert [(seat.ticket.number, seat.done) for seat in batch.joined] == [(2, 1)]


def test_room_for_two_rows_is_made_with_no_more_than_it_takes() -> None:
    """A picture with guidance takes two one-row slots, or one of two rows, or what is free and one row."""
    for victims, aside in (([1, 1], 2), ([2], 1), ([1], 1), ([2, 1], 1)):
        scheduler = SlotScheduler(max(2, sum(victims)))
        scheduler.add([ticket(number, rows=rows, priority=1) for number, rows in enumerate(victims)])
        scheduler.schedule()
        scheduler.update()
        scheduler.add([ticket(9, rows=2)])
        batch = scheduler.schedule()
        assert batch is not None
        assert len(batch.aside) == aside
        assert 9 in numbers(batch)


def test_newcomers_begin_at_the_next_call_and_the_shortest_ends_first() -> None:
    """Of equal priority, one without a step goes before all, then the one with the least left."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=5)])
    scheduler.schedule()
    scheduler.update()
    scheduler.add([ticket(2, steps=9), ticket(3, steps=2)])
    assert calls(scheduler)[:8] == [[2], [3], [3], [1], [1], [1], [1], [2]]


def test_among_those_who_have_begun_a_longer_one_puts_nobody_aside() -> None:
    """One of as many steps as the one in the slot has left waits until that is done."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=4), ticket(2, steps=4)])
    assert calls(scheduler) == [[1], [2], [1], [1], [1], [2], [2], [2]]


def test_a_worse_priority_does_not_even_begin() -> None:
    """While better ones fill the calls, worse ones wait."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=3), ticket(2, steps=1, priority=1)])
    assert calls(scheduler) == [[1], [1], [1], [2]]


def begun_once(scheduler: Scheduler, first: Ticket) -> None:
    """Let a ticket make one step."""
    scheduler.add([first])
    scheduler.schedule()
    scheduler.update()


@pytest.mark.parametrize(("priority", "patience"), [(0, PATIENCE), (1, PATIENCE_WITH_BETTER)])
def test_a_picture_aside_comes_back_though_others_never_end(priority: int, patience: int) -> None:
    """After a stated number of calls aside it goes before those of its priority, later before better ones, to its end."""
    scheduler = SlotScheduler(1)
    begun_once(scheduler, ticket(0, steps=9, priority=priority))
    made: list[list[int]] = []
    for number in range(1, 9 * patience + 20):
        if number % 2:
            scheduler.add([ticket(number, steps=2)])
        made.append(numbers(scheduler.schedule()))
        scheduler.update()
    back = made.index([0])
    assert back in range(9 * patience, 9 * patience + 2)
    # Those of its own priority who come new make one step each in between.
    rhythm = [[True] * 8] if priority else [[True, False] * 7 + [True]]
    assert [call == [0] for call in made[back : back + len(rhythm[0])]] in rhythm


def test_pictures_aside_are_bounded() -> None:
    """When as many are aside as may be, a better one waits for a slot like others."""
    scheduler = SlotScheduler(2, aside_max=1)
    scheduler.add([ticket(1, priority=1, steps=9), ticket(2, priority=1, steps=9)])
    scheduler.schedule()
    scheduler.update()
    scheduler.add([ticket(3, steps=2), ticket(4, steps=2)])
    scheduler.schedule()
    assert (scheduler.aside, scheduler.running) == (0, 2)
    scheduler.update()
    scheduler.cancel(1)
    assert 3 in numbers(scheduler.schedule())


def test_a_picture_aside_can_be_cancelled() -> None:
    """It is gone at once, and does not come back."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, priority=1)])
    scheduler.schedule()
    scheduler.update()
    scheduler.add([ticket(2, steps=2)])
    scheduler.schedule()
    assert scheduler.cancel(1)
    assert not scheduler.cancel(1)
    scheduler.update()
    assert calls(scheduler) == [[2]]
