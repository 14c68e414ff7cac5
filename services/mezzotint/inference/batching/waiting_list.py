"""Pictures that wait for their first slot: bounded, by shape, better priorities first, equal ones in order of arrival."""

from collections.abc import Iterator, Sequence

from mezzotint.inference.batching.scheduler import Ticket
from mezzotint.runtime.errors import ServerOverloaded

# Pictures waiting for a slot, over all shapes.
WAITING_MAX = 256
# What callers are told to wait when the list is full.
RETRY_SECONDS = 5


class WaitingList:
    """At most `limit` tickets."""

    def __init__(self, limit: int = WAITING_MAX) -> None:
        self._limit = limit
        self._tickets: dict[int, Ticket] = {}
        # By shape and priority, in order of arrival.
        self._lines: dict[str, dict[int, dict[int, Ticket]]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, tickets: Sequence[Ticket]) -> None:
        """Let tickets wait: all of them or, with ServerOverloaded, none."""
        self.expect(len(tickets))
        for ticket in tickets:
            self._tickets[ticket.number] = ticket
            self._lines.setdefault(ticket.shape, {}).setdefault(ticket.priority, {})[ticket.number] = ticket

    def expect(self, count: int, coming: int = 0) -> None:
        """Raise ServerOverloaded unless `count` more tickets may wait, besides `coming` ones that are sure to be added."""
        if len(self) + coming + count > self._limit:
            prepared = f", {coming} are prepared for it or decoded," if coming else ""
            raise ServerOverloaded(
                f"{len(self)} pictures wait for a slot{prepared} and {count} more would; {self._limit} may: try again later",
                retry_after=RETRY_SECONDS,
            )

    def remove(self, number: int) -> bool:
        """Take a ticket off the list; False when it is not on it."""
        ticket = self._tickets.pop(number, None)
        if ticket is None:
            return False
        levels = self._lines[ticket.shape]
        del levels[ticket.priority][number]
        if not levels[ticket.priority]:
            del levels[ticket.priority]
        if not levels:
            del self._lines[ticket.shape]
        return True

    def shapes(self) -> list[str]:
        """Shapes that somebody waits for."""
        return list(self._lines)

    def of(self, shape: str) -> Iterator[Ticket]:
        """Those who wait for a shape, in the order in which they are to go. Ends with any change of the list."""
        levels = self._lines.get(shape, {})
        return (ticket for priority in sorted(levels) for ticket in levels[priority].values())

    def first(self, shape: str) -> Ticket | None:
        """The one who is to go first of a shape."""
        return next(self.of(shape), None)

    def fitting(self, shape: str, rows: int) -> int:
        """Of `rows` free rows, how many those who wait for a shape would fill."""
        left = rows
        for ticket in self.of(shape):
            left -= ticket.rows if ticket.rows <= left else 0
            if not left:
                break
        return rows - left
