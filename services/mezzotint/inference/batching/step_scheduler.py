"""Step-level batching: who is in a call is decided anew for every call, so pictures join, leave and make way at every step.

Of one shape a call takes, while their rows fit, better priorities first. Within a priority first those who have no step yet, so
that everybody begins soon, then those of the fewest steps, equal ones in order of arrival. Whoever has to make way is put aside
with all it has, and goes on later where it was.

A row more makes a call longer for everybody in it. So one of far more steps than others of a call (SIMILAR) joins them only
when the call with it draws more pictures in the same time, by what calls of the shape take: always where rows cost nothing,
hardly ever where two rows take twice as long as one. Rows stay empty then, though somebody would fill them.

It surely goes on: with so many calls aside for each step it makes in all, it goes before those of its priority that have begun
(PATIENCE), and then before everybody (PATIENCE_WITH_BETTER), to its end.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from mezzotint.inference.batching.call_cost import CallCost
from mezzotint.inference.batching.scheduler import Batch, Seat, Ticket
from mezzotint.inference.batching.turns import Turns
from mezzotint.inference.batching.waiting_list import WAITING_MAX, WaitingList

# Pictures aside, over all shapes: their latents stay in memory.
ASIDE_MAX = 64
# Calls of its shape that a picture is aside for each step it makes in all before it goes before equal, and before better ones.
PATIENCE, PATIENCE_WITH_BETTER = 2, 8
# Pictures share calls freely when none makes more than so many times the steps of another.
SIMILAR = 2
# Shapes whose calls' costs are remembered; the oldest are forgotten first.
COSTS_MAX = 64


@dataclass(eq=False)
class Held:
    """A picture that has begun, or is to: the steps it made, the calls it was aside for, and its slot while it has one."""

    ticket: Ticket
    done: int = 0
    late: int = 0
    slot: int | None = None

    @property
    def rank(self) -> tuple[bool, int, int, int, int]:
        """Less goes first."""
        steps = self.ticket.steps
        within = (1, 0) if self.overdue else (2, steps)
        return (
            self.late < PATIENCE_WITH_BETTER * steps,
            self.ticket.priority,
            *(within if self.done else (0, 0)),
            self.ticket.number,
        )

    @property
    def overdue(self) -> bool:
        """It was aside for long enough to go before those of its priority that have begun."""
        return self.late >= PATIENCE * self.ticket.steps

    @property
    def seat(self) -> Seat:
        """Its place in a call."""
        assert self.slot is not None, "it has no slot"
        return Seat(self.slot, self.ticket, self.done)


@dataclass
class Lane:
    """The pictures of one shape that have begun, by their numbers, its slots, and what its calls cost."""

    rows_max: int
    cost: CallCost = field(default_factory=CallCost)
    begun: dict[int, Held] = field(default_factory=dict)
    free_slots: list[int] = field(default_factory=list)

    def fitting(self, order: Iterable[Held]) -> list[Held]:
        """Those who get a place when they come in this order."""
        chosen, left = [], self.rows_max
        for held in order:
            if held.ticket.rows <= left:
                chosen.append(held)
                left -= held.ticket.rows
            if not left:
                break
        return chosen

    def sharing(self, fitting: Iterable[Held]) -> list[Held]:
        """Of those who fit, in this order, who shares the call; a first step and those overdue do in any case."""
        chosen: list[Held] = []
        rows, drawn, fewest = 0, 0.0, math.inf
        for held in fitting:
            steps, more = held.ticket.steps, held.ticket.rows
            free = not held.done or held.overdue or steps <= SIMILAR * fewest
            if free or 1 / steps >= drawn * self.cost.longer(rows, more):
                chosen.append(held)
                rows, drawn = rows + more, drawn + 1 / steps
                fewest = min(fewest, steps) if held.done else fewest
        return chosen

    def aside(self) -> list[Held]:
        """Those who have begun and have no slot."""
        return [held for held in self.begun.values() if held.slot is None]

    def choose(self, newcomers: Sequence[Held], room: int) -> tuple[list[Held], int]:
        """Who is in the next call, so that no more than `room` are aside, and the rows withheld from those who would fit."""
        fitting = self.fitting(sorted([*self.begun.values(), *newcomers], key=lambda held: held.rank))
        chosen = self.sharing(fitting)
        if len(self.begun) - sum(1 for held in chosen if held.ticket.number in self.begun) <= room:
            return chosen, rows_of(fitting) - rows_of(chosen)
        keeping = [held for held in self.begun.values() if held.slot is not None]
        return self.fitting(chain(keeping, sorted([*self.aside(), *newcomers], key=lambda held: held.rank))), 0

    def leave(self, held: Held) -> None:
        """Free the slot of somebody."""
        if held.slot is not None:
            self.free_slots.append(held.slot)
            held.slot = None

    def drop(self, number: int) -> None:
        """Forget somebody who has begun."""
        self.leave(self.begun.pop(number))


def rows_of(chosen: Iterable[Held]) -> int:
    """Rows of a call."""
    return sum(held.ticket.rows for held in chosen)


class SlotScheduler:
    """See Scheduler."""

    def __init__(self, rows_max: int, waiting_max: int = WAITING_MAX, aside_max: int = ASIDE_MAX) -> None:
        self._rows_max = rows_max
        self._aside_max = aside_max
        self._waiting = WaitingList(waiting_max)
        self._turns = Turns()
        self._lanes: dict[str, Lane] = {}
        self._costs: dict[str, CallCost] = {}
        self._out: Batch | None = None
        self._cancelled: set[int] = set()

    def add(self, tickets: Sequence[Ticket]) -> None:
        """See Scheduler."""
        assert all(0 < ticket.rows <= self._cap(ticket) and ticket.steps > 0 for ticket in tickets), "it can never run"
        self._waiting.add(tickets)
        for ticket in tickets:
            if ticket.shape not in self._lanes:
                cap = self._cap(ticket)
                self._lanes[ticket.shape] = Lane(cap, self._cost(ticket.shape), free_slots=list(reversed(range(cap))))

    def expect(self, count: int, coming: int = 0) -> None:
        """See Scheduler."""
        self._waiting.expect(count, coming)

    def cancel(self, number: int) -> bool:
        """See Scheduler."""
        if self._waiting.remove(number):
            return True
        for shape, lane in self._lanes.items():
            if number not in lane.begun or number in self._cancelled:
                continue
            if self._out and self._out.shape == shape and lane.begun[number].slot is not None:
                self._cancelled.add(number)
            else:
                lane.drop(number)
            return True
        return False

    def schedule(self) -> Batch | None:
        """See Scheduler."""
        assert self._out is None, "the batch before was not handed to update"
        wanted = set(self._waiting.shapes())
        self._lanes = {shape: lane for shape, lane in self._lanes.items() if shape in wanted or lane.begun}
        if not self._lanes:
            return None
        shape = self._turns.choose(self._lanes)
        self._out = self._batch(shape, self._lanes[shape])
        return self._out

    def update(self, failed: Collection[int] = (), seconds: float = 0.0) -> list[Ticket]:
        """See Scheduler."""
        assert self._out is not None, "no batch is out"
        lane, finished = self._lanes[self._out.shape], []
        for seat in self._out.seats:
            number = seat.ticket.number
            held = lane.begun[number]
            held.done += 1
            dropped = number in self._cancelled or number in failed
            if not dropped and held.done == held.ticket.steps:
                finished.append(held.ticket)
            if dropped or held.done == held.ticket.steps:
                lane.drop(number)
        self._turns.charge(self._out.shape, seconds)
        if seconds:
            lane.cost.learn(sum(seat.ticket.rows for seat in self._out.seats), seconds)
        self._cancelled.clear()
        self._out = None
        return finished

    @property
    def waiting(self) -> int:
        """See Scheduler."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """See Scheduler."""
        return sum(len(lane.begun) for lane in self._lanes.values()) - self.aside

    @property
    def aside(self) -> int:
        """See Scheduler."""
        return sum(len(lane.aside()) for lane in self._lanes.values())

    def _batch(self, shape: str, lane: Lane) -> Batch:
        """The next call of a shape."""
        room = self._aside_max - self.aside + len(lane.aside())
        newcomers = [Held(ticket) for ticket in islice(self._waiting.of(shape), lane.rows_max)]
        chosen, withheld = lane.choose(newcomers, room)
        numbers = {held.ticket.number for held in chosen}
        making_way = [held for number, held in lane.begun.items() if held.slot is not None and number not in numbers]
        aside = tuple(held.seat for held in making_way)
        for held in making_way:
            lane.leave(held)
        joining = [held for held in chosen if held.slot is None]
        for held in joining:
            held.slot = lane.free_slots.pop()
            lane.begun[held.ticket.number] = held
            self._waiting.remove(held.ticket.number)
        for held in lane.aside():
            held.late += 1
        seats = tuple(sorted((held.seat for held in chosen), key=lambda seat: seat.slot))
        return Batch(shape, seats, tuple(held.seat for held in joining), aside, withheld)

    def _cost(self, shape: str) -> CallCost:
        """What calls of a shape cost; known also after nobody wanted it for a while."""
        if shape not in self._costs and len(self._costs) == COSTS_MAX:
            del self._costs[next(iter(self._costs))]
        return self._costs.setdefault(shape, CallCost())

    def _cap(self, ticket: Ticket) -> int:
        return min(ticket.cap or self._rows_max, self._rows_max)
