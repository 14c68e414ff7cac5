"""Open reservations and when they end by themselves."""

import heapq
from collections.abc import Container
from typing import NamedTuple

from mezzotint.ratelimit.limit import Moment, State
from mezzotint.ratelimit.packing import pack, unpack
from mezzotint.runtime.errors import ServerOverloaded

RESERVATIONS_MAX = 1_000_000
OVERLOAD_RETRY_SECONDS = 1.0
# Entries of settled reservations may stay in the heap until there are this many more of them than of open ones.
STALE_MAX = 1000


class Line(NamedTuple):
    """What one limit was charged, and the state that this left behind."""

    limit: str
    amount: int
    charged: State


class Reservation(NamedTuple):
    """Charges that will be settled, or given back at `ends`."""

    id: str
    account_id: str
    tier: str
    lines: tuple[Line, ...]
    ends: Moment

    def resumed(self, limits: Container[str], at: Moment) -> "Reservation":
        """The same in a later process: its end by that one's clock, and of its lines those of `limits`, by name."""
        left_ns = max(0, self.ends.wall_ns - at.wall_ns)
        lines = tuple(line for line in self.lines if line.limit in limits)
        return self._replace(lines=lines, ends=Moment(at.steady_ns + left_ns, self.ends.wall_ns))


class Reservations:
    """Open reservations by id."""

    def __init__(self, reservations_max: int = RESERVATIONS_MAX) -> None:
        self._max = reservations_max
        self._open: dict[str, bytes] = {}
        self._ends: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._open)

    def require_room(self) -> None:
        """Raise ServerOverloaded unless one more may be open."""
        if len(self._open) >= self._max:
            raise ServerOverloaded(
                f"{len(self._open)} reservations are open, the most is {self._max}; settle some or try again later",
                retry_after=OVERLOAD_RETRY_SECONDS,
            )

    def add(self, reservation: Reservation) -> None:
        """Open a reservation."""
        assert reservation.id not in self._open, "ids are fresh"
        self._open[reservation.id] = packed(reservation)
        heapq.heappush(self._ends, (reservation.ends.steady_ns, reservation.id))

    def get(self, reservation_id: str) -> Reservation | None:
        """The open reservation of this id, if there is one."""
        content = self._open.get(reservation_id)
        return unpacked(content) if content else None

    def remove(self, reservation: Reservation) -> None:
        """Close an open reservation."""
        del self._open[reservation.id]
        if len(self._ends) > 2 * len(self._open) + STALE_MAX:
            self._ends = [entry for entry in self._ends if entry[1] in self._open]
            heapq.heapify(self._ends)

    def next_over(self, at: Moment) -> Reservation | None:
        """A reservation whose time is over, if there is one; it stays open until it is removed."""
        while self._ends and self._ends[0][0] <= at.steady_ns:
            if found := self.get(self._ends[0][1]):
                return found
            heapq.heappop(self._ends)
        return None

    def copies(self) -> list[bytes]:
        """All open reservations, packed."""
        return list(self._open.values())


def packed(reservation: Reservation) -> bytes:
    """A reservation as it is kept."""
    lines = [tuple(line) for line in reservation.lines]
    return pack(*reservation[:3], lines, *reservation.ends)


def unpacked(content: bytes) -> Reservation:
    """A reservation from what was kept."""
    identifier, account_id, tier, lines, steady_ns, wall_ns = unpack(content)
    return Reservation(identifier, account_id, tier, tuple(Line(*line) for line in lines), Moment(steady_ns, wall_ns))
