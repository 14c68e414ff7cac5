"""The three schedulers: no picture is lost, doubled or run too often, whatever happens in whatever order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzotint.inference.request_scheduler import RequestScheduler
from mezzotint.inference.scheduler import Batch, Scheduler, Ticket
from mezzotint.inference.serial_scheduler import SerialScheduler
from mezzotint.inference.step_scheduler import PATIENCE, PATIENCE_WITH_BETTER, SlotScheduler
from mezzotint.runtime.errors import ServerOverloaded

ROWS_MAX = 5
WAITING_MAX = 12
ASIDE_MAX = 3
CAPS = {"a": 0, "b": 3}
WANTED = st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(1, 4), st.integers(0, 2))
MODES: dict[str, Callable[[int], Scheduler]] = {
    "serial": SerialScheduler,
    "request": RequestScheduler,
    "step": SlotScheduler,
}
every_mode = pytest.mark.parametrize("mode", MODES)


class Slots(RuleBasedStateMachine):
    """Adds, cancels, calls and failures in any order, against a plain account of where every ticket is."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = self.made()
        self.tickets: dict[int, Ticket] = {}
        self.steps: Counter[int] = Counter()
        self.over: set[int] = set()
        self.entered: list[Ticket] = []
        self.places: dict[int, int] = {}
        self.aside: Counter[int] = Counter()
        self.batch: Batch | None = None

    def made(self) -> Scheduler:
        return SlotScheduler(ROWS_MAX, WAITING_MAX, ASIDE_MAX)

    @rule(wanted=st.lists(WANTED, min_size=1, max_size=6))
    def add(self, wanted: list[tuple[str, int, int, int]]) -> None:
        numbers = range(len(self.tickets), len(self.tickets) + len(wanted))
        added = [Ticket(number, *each, CAPS[each[0]]) for number, each in zip(numbers, wanted, strict=True)]
        before = self.scheduler.waiting
        if before + len(added) > WAITING_MAX:
            with pytest.raises(ServerOverloaded):
                self.scheduler.add(added)
            assert self.scheduler.waiting == before
        else:
            self.scheduler.add(added)
            self.tickets |= {ticket.number: ticket for ticket in added}

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.tickets) + 1))
        known = number in self.tickets and number not in self.over
        assert self.scheduler.cancel(number) is known
        if known:
            self.over.add(number)

    @precondition(lambda self: self.batch is None)
    @rule()
    def schedule(self) -> None:
        self.batch = self.scheduler.schedule()
        live = set(self.tickets) - self.over
        assert (self.batch is None) == (not live), "a call is made exactly when somebody waits for one"
        if self.batch is None:
            return
        seats = self.batch.seats
        assert len({seat.slot for seat in seats}) == len({seat.ticket.number for seat in seats}) == len(seats) > 0
        assert sum(seat.ticket.rows for seat in seats) <= (CAPS[self.batch.shape] or ROWS_MAX)
        assert {seat.ticket.number for seat in seats} <= live
        assert all(seat.ticket.shape == self.batch.shape and seat.done == self.steps[seat.ticket.number] for seat in seats)
        self.follow(self.batch)

    def follow(self, batch: Batch) -> None:
        """Whoever keeps pictures in slots can do what the batch says, and finds everybody where it says."""
        here = {number: slot for number, slot in self.places.items() if self.tickets[number].shape == batch.shape}
        for seat in batch.aside:
            assert here.pop(seat.ticket.number) == seat.slot
            assert seat.done == self.steps[seat.ticket.number]
            self.aside[seat.ticket.number] += 1
        here = {number: slot for number, slot in here.items() if number not in self.over}
        for seat in batch.joined:
            assert seat.slot not in here.values()
            assert seat.ticket.number not in here
            here[seat.ticket.number] = seat.slot
            if not self.aside[seat.ticket.number]:
                assert seat.done == 0
                self.entered.append(seat.ticket)
        assert here == {seat.ticket.number: seat.slot for seat in batch.seats}
        self.places |= here
        self.places = {number: slot for number, slot in self.places.items() if number in here or number not in self.on(batch)}

    def on(self, batch: Batch) -> set[int]:
        return {number for number in self.places if self.tickets[number].shape == batch.shape}

    @precondition(lambda self: self.batch is not None)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        assert self.batch is not None
        numbers = [seat.ticket.number for seat in self.batch.seats]
        failed = data.draw(st.sets(st.sampled_from(numbers), max_size=1))
        finished = {ticket.number for ticket in self.scheduler.update(failed, data.draw(st.floats(0, 1)))}
        self.steps.update(numbers)
        due = {number for number in numbers if self.steps[number] == self.tickets[number].steps}
        assert finished == due - failed - self.over
        self.over |= finished | failed
        self.places = {number: slot for number, slot in self.places.items() if number not in self.over}
        self.batch = None

    @invariant()
    def nobody_is_lost(self) -> None:
        live = len(set(self.tickets) - self.over)
        leaving = sum(1 for seat in self.batch.seats if seat.ticket.number in self.over) if self.batch else 0
        assert self.scheduler.waiting + self.scheduler.running + self.scheduler.aside == live + leaving
        assert self.scheduler.aside <= ASIDE_MAX

    def teardown(self) -> None:
        """Whatever happened, everybody who is left gets all their steps, and equal ones begin in order of arrival."""
        if self.batch:
            self.scheduler.update()
            self.steps.update(seat.ticket.number for seat in self.batch.seats)
        while batch := self.scheduler.schedule():
            self.aside.update(seat.ticket.number for seat in batch.aside)
            self.entered += [seat.ticket for seat in batch.joined if not self.aside[seat.ticket.number]]
            self.steps.update(seat.ticket.number for seat in batch.seats)
            self.scheduler.update()
        for number in set(self.tickets) - self.over:
            assert self.steps[number] == self.tickets[number].steps
        for kind in {(each.shape, each.priority, each.steps, each.rows) for each in self.entered}:
            order = [each.number for each in self.entered if (each.shape, each.priority, each.steps, each.rows) == kind]
            assert order == sorted(order)


class Requests(Slots):
    """The same of batches of requests: those in a batch came together, make the same steps, and nobody leaves for another."""

    def made(self) -> Scheduler:
        return RequestScheduler(ROWS_MAX, WAITING_MAX)

    def follow(self, batch: Batch) -> None:
        super().follow(batch)
        assert len({(seat.done, seat.ticket.steps) for seat in batch.seats}) == 1
        assert not batch.aside


class Serially(Slots):
    """The same of one picture at a time."""

    def made(self) -> Scheduler:
        return SerialScheduler(ROWS_MAX, WAITING_MAX)

    def follow(self, batch: Batch) -> None:
        super().follow(batch)
        assert len(batch.seats) == 1


TestSlots, TestRequests, TestSerially = Slots.TestCase, Requests.TestCase, Serially.TestCase
for each in (TestSlots, TestRequests, TestSerially):
    each.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def ticket(number: int, shape: str = "a", rows: int = 1, steps: int = 3, priority: int = 0) -> Ticket:
    return Ticket(number, shape, rows, steps, priority)


def numbers(batch: Batch | None) -> list[int]:
    return [seat.ticket.number for seat in batch.seats] if batch else []


def calls(scheduler: Scheduler, most: int = 1000) -> list[list[int]]:
    """Who is in each of the calls to come."""
    made: list[list[int]] = []
    while len(made) < most and (batch := scheduler.schedule()):
        made.append(numbers(batch))
        scheduler.update()
    return made


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


def test_requests_of_equal_steps_come_and_go_together() -> None:
    """A batch holds those of equal steps who waited when it began; rows that others could fill meanwhile are told."""
    scheduler = RequestScheduler(4)
    scheduler.add([ticket(1, steps=2), ticket(2, steps=9), ticket(3, steps=2)])
    first = scheduler.schedule()
    assert numbers(first) == [1, 3]
    assert first is not None
    assert first.withheld == 1
    scheduler.add([ticket(4, steps=2), ticket(5, steps=2)])
    scheduler.update()
    second = scheduler.schedule()
    assert numbers(second) == [1, 3]
    assert second is not None
    assert second.withheld == 2
    assert [each.number for each in scheduler.update()] == [1, 3]
    assert numbers(scheduler.schedule()) == [2]


def test_one_picture_at_a_time() -> None:
    """The second begins when the first has made its last step."""
    scheduler = SerialScheduler(8)
    scheduler.add([ticket(1, steps=2), ticket(2, steps=1)])
    assert calls(scheduler) == [[1], [1], [2]]


@every_mode
def test_cancelled_picture_frees_its_slot_for_the_next_call(mode: str) -> None:
    """A cancellation while the call is out takes effect when it comes back."""
    scheduler = MODES[mode](1)
    scheduler.add([ticket(1, steps=50), ticket(2)])
    scheduler.schedule()
    assert scheduler.cancel(1)
    assert not scheduler.cancel(1)
    assert scheduler.update() == []
    assert numbers(scheduler.schedule()) == [2]


@every_mode
def test_lower_priority_number_goes_first(mode: str) -> None:
    """Among those who wait, a better priority goes first, and equal ones in order of arrival."""
    scheduler = MODES[mode](1)
    scheduler.add([ticket(1, steps=2, priority=1), ticket(2, steps=2, priority=1), ticket(3, steps=2, priority=0)])
    assert list(dict.fromkeys(number for call in calls(scheduler) for number in call)) == [3, 1, 2]


@every_mode
def test_shapes_share_the_device(mode: str) -> None:
    """A shape that always has work, and much of it, does not keep another one waiting for more than its turn."""
    scheduler = MODES[mode](2)
    scheduler.add([ticket(number, "a", steps=2) for number in range(9)] + [ticket(99, "b", steps=2)])
    shapes = [scheduler.schedule()]
    for _ in range(4):
        scheduler.update()
        shapes.append(scheduler.schedule())
    assert {batch.shape for batch in shapes if batch} == {"a", "b"}


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


def test_cap_of_a_shape() -> None:
    """A shape whose calls may have fewer rows than others keeps to it, in every mode."""
    for made in MODES.values():
        scheduler = made(8)
        scheduler.add([replace(ticket(number), cap=2) for number in range(5)])
        assert max(map(len, calls(scheduler))) <= 2
