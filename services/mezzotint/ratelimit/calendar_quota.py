"""So many a UTC minute, hour, day or month; whole again when the next one begins."""

import datetime
from dataclasses import dataclass
from typing import Literal

from mezzotint.ratelimit.limit import NANOSECONDS, Moment

Period = Literal["minute", "hour", "day", "month"]
SECONDS: dict[Period, int] = {"minute": 60, "hour": 3600, "day": 86400}
DECEMBER = 12


# When the window ends (nanoseconds since the epoch), and what was charged in it. A plain tuple, which the garbage collector
# does not look into for long; see packing.py.
Spent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CalendarQuota:
    """`count` a UTC `period`."""

    name: str
    dimension: str
    count: int
    period: Period
    shared: bool = False

    @property
    def lasting(self) -> bool:
        """Kept over a restart: a month is long."""
        return True

    @property
    def capacity(self) -> int:
        """The count."""
        return self.count

    def current(self, spent: Spent | None, at: Moment) -> Spent:
        """What counts now. A window stays in force until its end is reached, even if the clock stands before its begin."""
        if spent is not None and at.wall_ns < spent[0]:
            return spent
        return window_end_ns(self.period, at.wall_ns), 0

    def peek(self, spent: Spent | None, at: Moment) -> tuple[int, int]:
        """What is left in the window, and how long it lasts; 0 when nothing is used."""
        until_ns, used = self.current(spent, at)
        return max(0, self.count - used), until_ns - at.wall_ns if used else 0

    def wait_ns(self, spent: Spent | None, amount: int, at: Moment) -> int | None:
        """How long until `amount` fits into the window; None: it is larger than the count."""
        if amount > self.count:
            return None
        until_ns, used = self.current(spent, at)
        return 0 if used + amount <= self.count else until_ns - at.wall_ns

    def charge(self, spent: Spent | None, amount: int, at: Moment) -> Spent:
        """The window with `amount` used."""
        until_ns, used = self.current(spent, at)
        return until_ns, used + amount

    def refund(self, spent: Spent, amount: int, charged: Spent, at: Moment) -> Spent:
        """The window with `amount` less used if it was charged in this window; a window that is over takes nothing back."""
        until_ns, used = spent
        if until_ns != charged[0] or self.whole(spent, at):
            return spent
        return until_ns, max(0, used - amount)

    def whole(self, spent: Spent, at: Moment) -> bool:
        """Whether the window is over or nothing of it is used."""
        until_ns, used = spent
        return used == 0 or at.wall_ns >= until_ns


def window_end_ns(period: Period, wall_ns: int) -> int:
    """When the UTC period that holds `wall_ns` ends; its end is the begin of the next."""
    seconds = wall_ns // NANOSECONDS
    if period != "month":
        return (seconds // SECONDS[period] + 1) * SECONDS[period] * NANOSECONDS
    today = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    year, month = (today.year + 1, 1) if today.month == DECEMBER else (today.year, today.month + 1)
    return int(datetime.datetime(year, month, 1, tzinfo=datetime.UTC).timestamp()) * NANOSECONDS
