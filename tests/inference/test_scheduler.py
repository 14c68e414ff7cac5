"""The slot scheduler: no picture is lost, doubled or run too often, whatever happens in whatever order."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzotint.inference.scheduler import Batch, SlotScheduler, Ticket
from mezzotint.runtime.errors import ServerOverloaded

ROWS_MAX = 5
WAITING_MAX = 12
WANTED = st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(1, 4), st.integers(0, 2))


class Slots(RuleBasedStateMachine):
    """Adds, cancels, calls and failures in any order, against a plain account of where every ticket is."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = SlotScheduler(ROWS_MAX, WAITING_MAX)
        self.tickets: dict[int, Ticket] = {}
        self.steps: Counter[int] = Counter()
        self.over: set[int] = set()
        self.entered: list[Ticket] = []
        self.batch: Batch | None = None

    @rule(wanted=st.lists(WANTED, min_size=1, max_size=6))
    def add(self, wanted: list[tuple[str, int, int, int]]) -> None:
        numbers = range(len(self.tickets), len(self.tickets) + len(wanted))
        added = [Ticket(number, *each) for number, each in zip(numbers, wanted, strict=True)]
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
        assert sum(seat.ticket.rows for seat in seats) <= ROWS_MAX
        assert {seat.ticket.number for seat in seats} <= live
        assert all(seat.ticket.shape == self.batch.shape and seat.done == self.steps[seat.ticket.number] for seat in seats)
        assert set(self.batch.joined) == {seat for seat in seats if seat.done == 0}
        self.entered += [seat.ticket for seat in self.batch.joined]

    @precondition(lambda self: self.batch is not None)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        assert self.batch is not None
        numbers = [seat.ticket.number for seat in self.batch.seats]
        failed = data.draw(st.sets(st.sampled_from(numbers), max_size=1))
        finished = {ticket.number for ticket in self.scheduler.update(failed)}
        self.steps.update(numbers)
        due = {number for number in numbers if self.steps[number] == self.tickets[number].steps}
        assert finished == due - failed - self.over
        self.over |= finished | failed
        self.batch = None

    @invariant()
    def nobody_is_lost(self) -> None:
        live = len(set(self.tickets) - self.over)
        leaving = sum(1 for seat in self.batch.seats if seat.ticket.number in self.over) if self.batch else 0
        assert self.scheduler.waiting + self.scheduler.running == live + leaving

    def teardown(self) -> None:
        """Whatever happened, everybody who is left gets all their steps, in order of arrival within a shape and priority."""
        if self.batch:
            self.scheduler.update()
            self.steps.update(seat.ticket.number for seat in self.batch.seats)
        while batch := self.scheduler.schedule():
            self.entered += [seat.ticket for seat in batch.joined]
            self.steps.update(seat.ticket.number for seat in batch.seats)
            self.scheduler.update()
        for number in set(self.tickets) - self.over:
            assert self.steps[number] == self.tickets[number].steps
        for shape in "ab":
            for priority in range(3):
                order = [each.number for each in self.entered if (each.shape, each.priority) == (shape, priority)]
                assert order == sorted(order)


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def ticket(number: int, shape: str = "a", rows: int = 1, steps: int = 3, priority: int = 0) -> Ticket:
    return Ticket(number, shape, rows, steps, priority)


def numbers(batch: Batch | None) -> list[int]:
    return [seat.ticket.number for seat in batch.seats] if batch else []


def test_pictures_join_and_leave_at_every_step() -> None:
    """One that comes later shares the very next call with one that is under way, and a slot that is free is taken at once."""
    scheduler = SlotScheduler(2)
    scheduler.add([ticket(1, steps=2)])
    assert numbers(scheduler.schedule()) == [1]
    scheduler.add([ticket(2, steps=2), ticket(3)])
    scheduler.update()
    assert numbers(scheduler.schedule()) == [1, 2]
    scheduler.update()
    assert sorted(numbers(scheduler.schedule())) == [2, 3]


def test_cancelled_picture_frees_its_slot_for_the_next_call() -> None:
    """A cancellation while the call is out takes effect when it comes back."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=50), ticket(2)])
    scheduler.schedule()
    assert scheduler.cancel(1)
    assert not scheduler.cancel(1)
    assert scheduler.update() == []
    assert numbers(scheduler.schedule()) == [2]


def test_lower_priority_number_goes_first() -> None:
    """A better priority overtakes those that wait, and nobody who is running."""
    scheduler = SlotScheduler(1)
    scheduler.add([ticket(1, steps=2, priority=1), ticket(2, priority=1), ticket(3, priority=0)])
    served = []
    while batch := scheduler.schedule():
        served += numbers(batch)
        scheduler.update()
    assert list(dict.fromkeys(served)) == [3, 1, 2]


def test_shapes_take_turns() -> None:
    """A shape that always has work does not keep another one waiting for more than a call."""
    scheduler = SlotScheduler(2)
    scheduler.add([ticket(number, "a", steps=9) for number in range(9)] + [ticket(99, "b", steps=2)])
    shapes = []
    for _ in range(4):
        batch = scheduler.schedule()
        assert batch is not None
        shapes.append(batch.shape)
        scheduler.update()
    assert shapes == ["a", "b", "a", "b"]
