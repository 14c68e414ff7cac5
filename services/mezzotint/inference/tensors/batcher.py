"""Which waiting requests share the next call of a model. Pure: the time is an argument, and nothing here waits."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from mezzotint.runtime.errors import ServerOverloaded

# Types and trailing dimensions: what requests must have in common to share a call.
Key = tuple[tuple[int, ...], ...]


class Waiting(Protocol):
    """A request in the queue. Times are in seconds; `expires` None: never. `level` counts from 0, the first to go."""

    key: Key
    rows: int
    level: int
    arrived: float
    expires: float | None


Entry = TypeVar("Entry", bound=Waiting)


@dataclass
class _Line(Generic[Entry]):
    """Requests that could share a call, each level in the order of arrival."""

    levels: list[deque[Entry]]
    rows: int = 0

    def first(self) -> Entry:
        """Who goes first."""
        return next(level[0] for level in self.levels if level)

    def oldest(self) -> float:
        """When the one that waits longest came."""
        return min(level[0].arrived for level in self.levels if level)


@dataclass
class Batcher(Generic[Entry]):
    """The queue of one model: at most `size_max` requests, calls of at most `rows_max` rows (0: one request a call).

    A call that is not full waits until its oldest request is `delay` seconds old.
    """

    rows_max: int
    delay: float
    size_max: int
    levels: int = 1
    size: int = 0
    """How many wait."""
    _lines: dict[Key, _Line[Entry]] = field(default_factory=dict)
    _expiring: int = 0

    def add(self, entry: Entry) -> None:
        """Let a request wait. Raises ServerOverloaded when as many wait as may."""
        if self.size >= self.size_max:
            raise ServerOverloaded(f"{self.size} requests wait for this model, as many as may; try again", retry_after=1.0)
        line = self._lines.get(entry.key)
        if line is None:
            line = self._lines[entry.key] = _Line([deque() for _ in range(self.levels)])
        line.levels[entry.level].append(entry)
        line.rows += entry.rows
        self.size += 1
        self._expiring += entry.expires is not None

    def drop(self, entry: Entry) -> bool:
        """Take a request out of the queue; False when it does not wait any more."""
        line = self._lines.get(entry.key)
        if line is None or entry not in line.levels[entry.level]:
            return False
        line.levels[entry.level].remove(entry)
        self._left(line, entry)
        return True

    def expired(self, now: float) -> list[Entry]:
        """The requests whose time is over, taken out of the queue."""
        if not self._expiring:
            return []
        over = [entry for entry in self._waiting() if entry.expires is not None and entry.expires <= now]
        for entry in over:
            self.drop(entry)
        return over

    def take(self, now: float) -> list[Entry]:
        """The requests of the next call, in the order they go, taken out of the queue; none when nothing is due yet."""
        due = [line for line in self._lines.values() if self._due(line, now)]
        if not due:
            return []
        line = min(due, key=lambda each: (each.first().level, each.first().arrived))
        taken = [self._pop(line)]
        rows = taken[0].rows
        while any(line.levels) and rows < self.rows_max and rows + (following := line.first()).rows <= self.rows_max:
            taken.append(self._pop(line))
            rows += following.rows
        return taken

    def wake(self) -> float | None:
        """When a call is due or a request's time is over, whichever is first; None when nothing waits."""
        moments = [line.oldest() + self.delay for line in self._lines.values()]
        if (expiry := self.next_expiry()) is not None:
            moments.append(expiry)
        return min(moments, default=None)

    def next_expiry(self) -> float | None:
        """When the time of a request is over that waits; None when none has an end."""
        if not self._expiring:
            return None
        return min(entry.expires for entry in self._waiting() if entry.expires is not None)

    def _due(self, line: _Line[Entry], now: float) -> bool:
        return line.rows >= self.rows_max or now >= line.oldest() + self.delay

    def _pop(self, line: _Line[Entry]) -> Entry:
        entry = next(level for level in line.levels if level).popleft()
        self._left(line, entry)
        return entry

    def _left(self, line: _Line[Entry], entry: Entry) -> None:
        line.rows -= entry.rows
        self.size -= 1
        self._expiring -= entry.expires is not None
        if not any(line.levels):
            del self._lines[entry.key]

    def _waiting(self) -> list[Entry]:
        return [entry for line in self._lines.values() for level in line.levels for entry in level]
