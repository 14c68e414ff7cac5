"""Step-level batching: pictures join and leave at every step, and a better priority takes slots from worse ones.

Each shape has its own slots and its own waiting list. A picture that has to leave its slot for a better one is put aside with
all it has; it is the first of its priority to come back. So that it surely comes back: it is put aside a few times at most, and
after some calls aside it goes before everybody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mezzotint.inference.scheduler import Batch, Seat, Ticket
from mezzotint.inference.turns import Turns
from mezzotint.inference.waiting_list import WAITING_MAX, WaitingList

# Pictures aside, over all shapes: their latents stay in memory.
ASIDE_MAX = 64
# A picture that was put aside so often keeps its slot the next time.
ASIDE_TIMES_MAX = 3
# After so many calls of its shape aside, a picture goes before everybody and keeps its slot then.
ASIDE_CALLS_MAX = 200


@dataclass(eq=False)
class Held:
    """A ticket, the steps it made and how often it was put aside; `since` counts the calls of its lane before the last time."""

    ticket: Ticket
    done: int = 0
    times: int = 0
    since: int = 0


@dataclass
class Lane:
    """The slots of one shape, those aside in the order in which they left, and the calls so far."""

    rows_max: int
    slots: list[Held | None]
    aside: list[Held] = field(default_factory=list)
    calls: int = 0

    def held(self) -> list[Held]:
        """Those in slots."""
        return [held for held in self.slots if held]

    def free(self) -> int:
        """Rows not in use."""
        return self.rows_max - sum(held.ticket.rows for held in self.held())

    def seat(self, held: Held) -> Seat:
        """Put somebody into a free slot."""
        slot = self.slots.index(None)
        self.slots[slot] = held
        return Seat(slot, held.ticket, held.done)

    def put_aside(self, held: Held) -> Seat:
        """Take somebody out of a slot, to come back later."""
        slot = self.slots.index(held)
        self.slots[slot] = None
        held.times, held.since = held.times + 1, self.calls
        self.aside.append(held)
        return Seat(slot, held.ticket, held.done)

    def patient(self) -> Held | None:
        """The one who has been aside for too long."""
        return next((held for held in self.aside if self.calls - held.since >= ASIDE_CALLS_MAX), None)

    def victims(self, ticket: Ticket, room: int) -> list[Held]:
        """Whom to put aside, `room` at most, so that `ticket` fits: worst priorities first, then most steps left; or nobody."""
        worse = [each for each in self.held() if each.ticket.priority > ticket.priority and each.times < ASIDE_TIMES_MAX]
        worse.sort(key=lambda each: (-each.ticket.priority, each.done - each.ticket.steps))
        chosen: list[Held] = []
        missing = ticket.rows - self.free()
        for each in worse:
            if missing <= 0:
                break
            chosen.append(each)
            missing -= each.ticket.rows
        for each in chosen[::-1]:
            if missing + each.ticket.rows <= 0:
                chosen.remove(each)
                missing += each.ticket.rows
        return chosen if missing <= 0 and len(chosen) <= room else []


class SlotScheduler:
    """See Scheduler."""

    def __init__(self, rows_max: int, waiting_max: int = WAITING_MAX, aside_max: int = ASIDE_MAX) -> None:
        self._rows_max = rows_max
        self._aside_max = aside_max
        self._waiting = WaitingList(waiting_max)
        self._turns = Turns()
        self._lanes: dict[str, Lane] = {}
        self._out: Batch | None = None
        self._cancelled: set[int] = set()

    def add(self, tickets: Sequence[Ticket]) -> None:
        """See Scheduler."""
        assert all(0 < ticket.rows <= self._cap(ticket) and ticket.steps > 0 for ticket in tickets), "it can never run"
        self._waiting.add(tickets)
        for ticket in tickets:
            if ticket.shape not in self._lanes:
                self._lanes[ticket.shape] = Lane(self._cap(ticket), [None] * self._cap(ticket))

    def expect(self, count: int) -> None:
        """See Scheduler."""
        self._waiting.expect(count)

    def cancel(self, number: int) -> bool:
        """See Scheduler."""
        if self._waiting.remove(number):
            return True
        for lane in self._lanes.values():
            if found := next((held for held in lane.aside if held.ticket.number == number), None):
                lane.aside.remove(found)
                return True
            for slot, held in enumerate(lane.slots):
                if held and held.ticket.number == number and number not in self._cancelled:
                    if self._out and self._lanes[self._out.shape] is lane:
                        self._cancelled.add(number)
                    else:
                        lane.slots[slot] = None
                    return True
        return False

    def schedule(self) -> Batch | None:
        """See Scheduler."""
        assert self._out is None, "the batch before was not handed to update"
        waiting = set(self._waiting.shapes())
        shapes = [shape for shape, lane in self._lanes.items() if shape in waiting or lane.held() or lane.aside]
        self._lanes = {shape: lane for shape, lane in self._lanes.items() if shape in shapes}
        if not shapes:
            return None
        shape = self._turns.choose(shapes)
        lane = self._lanes[shape]
        joined, aside = self._fill(lane, shape)
        seats = tuple(Seat(slot, held.ticket, held.done) for slot, held in enumerate(lane.slots) if held)
        self._out = Batch(shape, seats, tuple(joined), tuple(aside))
        return self._out

    def update(self, failed: Collection[int] = (), seconds: float = 0.0) -> list[Ticket]:
        """See Scheduler."""
        assert self._out is not None, "no batch is out"
        lane, finished = self._lanes[self._out.shape], []
        lane.calls += 1
        for slot, held in enumerate(lane.slots):
            if held is None:
                continue
            held.done += 1
            dropped = held.ticket.number in self._cancelled or held.ticket.number in failed
            if not dropped and held.done == held.ticket.steps:
                finished.append(held.ticket)
            if dropped or held.done == held.ticket.steps:
                lane.slots[slot] = None
        self._turns.charge(self._out.shape, seconds)
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
        return sum(len(lane.held()) for lane in self._lanes.values())

    @property
    def aside(self) -> int:
        """See Scheduler."""
        return sum(len(lane.aside) for lane in self._lanes.values())

    def _fill(self, lane: Lane, shape: str) -> tuple[list[Seat], list[Seat]]:
        """Let those who come next into slots, strictly in order, as long as there is room or can be made."""
        joined, aside = [], []
        while held := self._next(lane, shape):
            if held.ticket.rows > lane.free():
                victims = lane.victims(held.ticket, self._aside_max - self.aside)
                if not victims:
                    break
                aside += [lane.put_aside(victim) for victim in victims]
            if held in lane.aside:
                lane.aside.remove(held)
            else:
                self._waiting.remove(held.ticket.number)
            joined.append(lane.seat(held))
        return joined, aside

    def _next(self, lane: Lane, shape: str) -> Held | None:
        """Who is to come into a slot next."""
        if patient := lane.patient():
            patient.times = ASIDE_TIMES_MAX
            return patient
        returning = min(lane.aside, key=lambda held: held.ticket.priority, default=None)
        first = self._waiting.first(shape)
        if returning and (first is None or returning.ticket.priority <= first.priority):
            return returning
        return Held(first) if first else None

    def _cap(self, ticket: Ticket) -> int:
        return min(ticket.cap or self._rows_max, self._rows_max)
