"""Batches of requests: pictures of one shape and equal steps begin together and leave together, and nobody joins meanwhile.

What servers do that batch whole requests; kept to be compared with, and for devices where calls must not change their size.
"""

from collections.abc import Collection, Iterable, Sequence

from mezzotint.inference.batching.scheduler import Batch, Seat, Ticket
from mezzotint.inference.batching.turns import Turns
from mezzotint.inference.batching.waiting_list import WAITING_MAX, WaitingList


class RequestScheduler:
    """See Scheduler."""

    def __init__(self, rows_max: int, waiting_max: int = WAITING_MAX) -> None:
        self._rows_max = rows_max
        self._waiting = WaitingList(waiting_max)
        self._turns = Turns()
        self._party: list[Seat] = []
        self._out: Batch | None = None
        self._cancelled: set[int] = set()

    def add(self, tickets: Sequence[Ticket]) -> None:
        """See Scheduler."""
        assert all(0 < ticket.rows <= self._cap(ticket) and ticket.steps > 0 for ticket in tickets), "it can never run"
        self._waiting.add(tickets)

    def expect(self, count: int, coming: int = 0) -> None:
        """See Scheduler."""
        self._waiting.expect(count, coming)

    def cancel(self, number: int) -> bool:
        """See Scheduler. The rows of a picture that is cancelled stay empty until the others leave."""
        if self._waiting.remove(number):
            return True
        if number in self._cancelled or all(seat.ticket.number != number for seat in self._party):
            return False
        if self._out:
            self._cancelled.add(number)
        else:
            self._party = [seat for seat in self._party if seat.ticket.number != number]
        return True

    def schedule(self) -> Batch | None:
        """See Scheduler."""
        assert self._out is None, "the batch before was not handed to update"
        joined: tuple[Seat, ...] = ()
        if not self._party:
            if not self._waiting:
                return None
            company = self._company(self._waiting.of(self._turns.choose(self._waiting.shapes())))
            for ticket in company:
                self._waiting.remove(ticket.number)
            self._party = [Seat(slot, ticket, 0) for slot, ticket in enumerate(company)]
            joined = tuple(self._party)
        first = self._party[0].ticket
        free = self._cap(first) - sum(seat.ticket.rows for seat in self._party)
        self._out = Batch(first.shape, tuple(self._party), joined, withheld=self._waiting.fitting(first.shape, free))
        return self._out

    def update(self, failed: Collection[int] = (), seconds: float = 0.0) -> list[Ticket]:
        """See Scheduler."""
        assert self._out is not None, "no batch is out"
        self._turns.charge(self._out.shape, seconds)
        gone = self._cancelled | set(failed)
        moved = [Seat(seat.slot, seat.ticket, seat.done + 1) for seat in self._party if seat.ticket.number not in gone]
        self._party = [seat for seat in moved if seat.done < seat.ticket.steps]
        self._cancelled.clear()
        self._out = None
        return [seat.ticket for seat in moved if seat.done == seat.ticket.steps]

    @property
    def waiting(self) -> int:
        """See Scheduler."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """See Scheduler."""
        return len(self._party)

    @property
    def aside(self) -> int:
        """See Scheduler: nobody leaves before the end."""
        return 0

    def _company(self, waiting: Iterable[Ticket]) -> list[Ticket]:
        """Of those who wait for one shape the first, and with it those of equal steps that fit."""
        company: list[Ticket] = []
        rows = 0
        for ticket in waiting:
            if (not company or ticket.steps == company[0].steps) and rows + ticket.rows <= self._cap(ticket):
                company.append(ticket)
                rows += ticket.rows
        return company

    def _cap(self, ticket: Ticket) -> int:
        return min(ticket.cap or self._rows_max, self._rows_max)
