"""Step-level batching: who is in a call, who has to make way, and that everybody comes back."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.inference.batching.scheduler import Batch, Scheduler, Ticket
from mezzotint.inference.batching.step_scheduler import COSTS_MAX, PATIENCE, PATIENCE_WITH_BETTER, SIMILAR, SlotScheduler
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
    """Of equal priority, one without a step goes before all, then the one of the fewest steps."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=5)])
    scheduler.schedule()
    scheduler.update()
    scheduler.add([ticket(2, steps=9), ticket(3, steps=2)])
    assert calls(scheduler)[:8] == [[2], [3], [3], [1], [1], [1], [1], [2]]


def test_among_those_who_have_begun_an_equal_one_puts_nobody_aside() -> None:
    """One of as many steps as the one in the slot waits until that is done."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=4), ticket(2, steps=4)])
    assert calls(scheduler) == [[1], [2], [1], [1], [1], [2], [2], [2]]


def test_a_worse_priority_does_not_even_begin() -> None:
    """While better ones fill the calls, worse ones wait."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=3), ticket(2, steps=1, priority=1)])
    assert calls(scheduler) == [[1], [1], [1], [2]]


def run(scheduler: Scheduler, seconds: Callable[[int], float]) -> Batch:
    """Make one call that takes so long for its rows."""
    batch = scheduler.schedule()
    assert batch is not None
    scheduler.update(seconds=seconds(sum(seat.ticket.rows for seat in batch.seats)))
    return batch


def experienced(seconds: Callable[[int], float], rows_max: int = 4) -> SlotScheduler:
    """A scheduler with nothing to do that has seen what calls of 1 to `rows_max` rows take."""
    scheduler = SlotScheduler(rows_max)
    scheduler.add([ticket(-number, steps=number) for number in range(1, rows_max + 1)])
    for _ in range(rows_max):
        run(scheduler, seconds)
    assert scheduler.schedule() is None
    return scheduler


@pytest.mark.parametrize(
    ("seconds", "steps", "together"),
    [
        # Rows cost nothing.
        (lambda rows: 1.0, 50, True),
        # Rows cost all: two take twice as long as one. Only one that is much like the other shares then.
        (lambda rows: 1.0 * rows, 50, False),
        (lambda rows: 1.0 * rows, 20 * SIMILAR, True),
        # A call draws 1/20 of a picture alone and 1/20 + 1/50 with both: 1.4 times as much, in 1.54 or 1.38 times the time.
        (lambda rows: 6.0 + 7.0 * rows, 50, False),
        (lambda rows: 8.0 + 5.0 * rows, 50, True),
    ],
)
def test_a_longer_picture_shares_calls_when_they_draw_more_with_it(
    seconds: Callable[[int], float], steps: int, together: bool
) -> None:
    """By what calls took before; else its rows stay empty, which is told, until the shorter one is done."""
    scheduler = experienced(seconds)
    scheduler.add([ticket(1, steps=steps), ticket(2, steps=20)])
    assert sorted(numbers(run(scheduler, seconds))) == [1, 2]
    batch = run(scheduler, seconds)
    assert (sorted(numbers(batch)), batch.withheld) == (([1, 2], 0) if together else ([2], 1))


def test_a_longer_picture_begins_and_goes_on_beside_better_ones_that_would_be_faster_alone() -> None:
    """Its first step does not wait for that, and once it was aside for long enough nothing does."""
    scheduler, inside = experienced(float), list[bool]()
    for number in range(PATIENCE * 50 + 20):
        if not number % 15:
            scheduler.add([ticket(1000 + number, steps=20)])
        if number == 1:
            scheduler.add([ticket(1, steps=50, priority=1)])
        inside.append(1 in numbers(run(scheduler, float)))
    assert inside.index(True) == 1
    assert inside[2:].index(True) == PATIENCE * 50


def test_a_shape_that_comes_back_is_still_known() -> None:
    """What its calls cost is not forgotten while nobody wants it, unless many other shapes came meanwhile."""
    for others, withheld in ((0, 1), (COSTS_MAX, 0)):
        scheduler = experienced(float)
        for number in range(others):
            scheduler.add([ticket(100 + number, f"other {number}", steps=1)])
            run(scheduler, float)
        scheduler.add([ticket(1, steps=50), ticket(2, steps=20)])
        run(scheduler, float)
        assert run(scheduler, float).withheld == withheld


@given(
    arrivals=st.lists(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(0, 1)), max_size=2), max_size=80),
    base=st.floats(0.01, 10.0),
    each=st.floats(0.0, 10.0),
)
def test_nobody_starves(arrivals: list[list[tuple[int, int, int]]], base: float, each: float) -> None:
    """Whoever comes and whatever calls cost: after PATIENCE_WITH_BETTER calls aside a step only those before it keep it out."""
    scheduler, tickets = SlotScheduler(3), list[Ticket]()
    done, aside = Counter[int](), Counter[int]()
    for come in [*arrivals, *([] for _ in range(2000))]:
        new = [Ticket(len(tickets) + number, "a", *each_one) for number, each_one in enumerate(come)]
        scheduler.add(new)
        tickets += new
        batch = scheduler.schedule()
        if batch is None:
            continue
        inside = set(numbers(batch))
        begun = [each_one for each_one in tickets if 0 < done[each_one.number] < each_one.steps]
        due = [each_one for each_one in begun if aside[each_one.number] >= PATIENCE_WITH_BETTER * each_one.steps]
        if due:
            assert min(due, key=lambda each_one: (each_one.priority, each_one.number)).number in inside
        aside.update(each_one.number for each_one in begun if each_one.number not in inside)
        done.update(inside)
        scheduler.update(seconds=base + each * sum(seat.ticket.rows for seat in batch.seats))
    assert all(done[each_one.number] == each_one.steps for each_one in tickets)


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
