"""Which pictures share the next call of the denoiser. Pure: no clock, no I/O, no threads.

Pictures of one shape (a model and a latent size) can share a call. Each shape has its own slots and its own waiting list, and
shapes take turns call by call, so that none blocks another. Inside a shape a lower priority number goes first, equal ones in
order of arrival. Pictures join and leave at every step.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mezzotint.runtime.errors import ServerOverloaded

# Pictures waiting for a slot, over all shapes.
WAITING_MAX = 256
# What callers are told to wait when the list is full.
RETRY_SECONDS = 5


@dataclass(frozen=True)
class Ticket:
    """One picture to be drawn. `rows` of each call for `steps` calls; a lower `priority` goes first."""

    number: int
    shape: str
    rows: int
    steps: int
    priority: int = 0


@dataclass(frozen=True)
class Seat:
    """A ticket in a slot, with the steps done before this call."""

    slot: int
    ticket: Ticket
    done: int


@dataclass(frozen=True)
class Batch:
    """One call of the denoiser: everybody in it, and those of them that are new in their slot."""

    shape: str
    seats: tuple[Seat, ...]
    joined: tuple[Seat, ...]


@dataclass
class Lane:
    """The slots and the waiting list of one shape."""

    slots: list[Ticket | None]
    done: list[int]
    waiting: dict[int, deque[Ticket]] = field(default_factory=dict)

    def rows(self) -> int:
        """Rows of the slots in use."""
        return sum(ticket.rows for ticket in self.slots if ticket)

    def queue(self) -> deque[Ticket]:
        """The waiting tickets of the best priority; empty when none waits."""
        return next((self.waiting[priority] for priority in sorted(self.waiting) if self.waiting[priority]), deque())

    def admit(self, rows_max: int) -> list[Seat]:
        """Put waiting tickets into free slots, strictly in order, while their rows fit."""
        joined = []
        while (queue := self.queue()) and self.rows() + queue[0].rows <= rows_max:
            slot = self.slots.index(None)
            self.slots[slot], self.done[slot] = queue.popleft(), 0
            ticket = self.slots[slot]
            assert ticket is not None, "a slot that was just filled is empty"
            joined.append(Seat(slot, ticket, 0))
        return joined

    def seats(self) -> tuple[Seat, ...]:
        """The slots in use."""
        return tuple(Seat(slot, ticket, self.done[slot]) for slot, ticket in enumerate(self.slots) if ticket)


class SlotScheduler:
    """Slots for pictures: `add`, then again and again `schedule`, run the batch, `update`. One batch is out at a time."""

    def __init__(self, rows_max: int, waiting_max: int = WAITING_MAX) -> None:
        self._rows_max = rows_max
        self._waiting_max = waiting_max
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        self._out: Batch | None = None
        self._cancelled: set[int] = set()

    def add(self, tickets: Sequence[Ticket]) -> None:
        """Let tickets wait for slots: all of them or, with ServerOverloaded, none."""
        assert all(0 < ticket.rows <= self._rows_max and ticket.steps > 0 for ticket in tickets), "a ticket that can never run"
        self.expect(len(tickets))
        for ticket in tickets:
            lane = self._lanes.setdefault(ticket.shape, Lane([None] * self._rows_max, [0] * self._rows_max))
            lane.waiting.setdefault(ticket.priority, deque()).append(ticket)

    def expect(self, count: int) -> None:
        """Raise ServerOverloaded unless `count` more tickets may wait."""
        if self.waiting + count > self._waiting_max:
            raise ServerOverloaded(
                f"{self.waiting} pictures wait for a slot and {count} more would; {self._waiting_max} may: try again later",
                retry_after=RETRY_SECONDS,
            )

    def cancel(self, number: int) -> bool:
        """Drop a ticket: at once, or when the batch that is out comes back. False when it is not here (any more)."""
        for lane in self._lanes.values():
            for queue in lane.waiting.values():
                if found := next((ticket for ticket in queue if ticket.number == number), None):
                    queue.remove(found)
                    return True
            for slot, ticket in enumerate(lane.slots):
                if ticket and ticket.number == number and number not in self._cancelled:
                    if self._out and any(seat.ticket.number == number for seat in self._out.seats):
                        self._cancelled.add(number)
                    else:
                        lane.slots[slot] = None
                    return True
        return False

    def schedule(self) -> Batch | None:
        """The next call: the shape whose turn it is, after waiting tickets took its free slots. None when nothing is to do."""
        assert self._out is None, "the batch before was not handed to update"
        for shape, lane in list(self._lanes.items()):
            joined = lane.admit(self._rows_max)
            seats = lane.seats()
            if not seats:
                del self._lanes[shape]
                continue
            self._lanes.move_to_end(shape)
            self._out = Batch(shape, seats, tuple(joined))
            return self._out
        return None

    def update(self, failed: Collection[int] = ()) -> list[Ticket]:
        """Take the batch that is out back: free the slots of those that are done, cancelled or `failed` (ticket numbers).

        Returns the tickets that made their last step.
        """
        assert self._out is not None, "no batch is out"
        lane, finished = self._lanes[self._out.shape], []
        for seat in self._out.seats:
            lane.done[seat.slot] += 1
            dropped = seat.ticket.number in self._cancelled or seat.ticket.number in failed
            if dropped or lane.done[seat.slot] == seat.ticket.steps:
                lane.slots[seat.slot] = None
            if not dropped and lane.done[seat.slot] == seat.ticket.steps:
                finished.append(seat.ticket)
        self._cancelled.clear()
        self._out = None
        return finished

    @property
    def waiting(self) -> int:
        """Tickets that wait for a slot."""
        return sum(len(queue) for lane in self._lanes.values() for queue in lane.waiting.values())

    @property
    def running(self) -> int:
        """Slots in use."""
        return sum(1 for lane in self._lanes.values() for ticket in lane.slots if ticket)
