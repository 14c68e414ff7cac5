"""The three schedulers: no picture is lost, doubled or run too often, whatever happens in whatever order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzotint.inference.batching.request_scheduler import RequestScheduler
from mezzotint.inference.batching.scheduler import Batch, Scheduler, Ticket
from mezzotint.inference.batching.serial_scheduler import SerialScheduler
from mezzotint.inference.batching.step_scheduler import SlotScheduler
from mezzotint.runtime.errors import ServerOverloaded
from tests.inference.batching.tickets import calls, numbers, ticket

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
        assert sum(seat.ticket.rows for seat in seats) + self.batch.withheld <= (CAPS[self.batch.shape] or ROWS_MAX)
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


def test_cap_of_a_shape() -> None:
    """A shape whose calls may have fewer rows than others keeps to it, in every mode."""
    for made in MODES.values():
        scheduler = made(8)
        scheduler.add([replace(ticket(number), cap=2) for number in range(5)])
        assert max(map(len, calls(scheduler))) <= 2
