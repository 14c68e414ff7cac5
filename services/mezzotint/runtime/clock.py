"""Time and ids as things handed in, so that tests decide them."""

import os
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Two clocks: `now` for what is stored and shown, `monotonic` for how long something takes. Both in seconds."""

    def now(self) -> float:
        """Seconds since the epoch; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since any moment; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()


# Two digits of Crockford's base 32 at a time, 10 bits of a ULID's 130: ids are made for every job and call.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_SHIFTS = range(120, -1, -10)
_drawn: list[bytes] = []
# A child made by fork must not make the ids that its parent makes.
os.register_at_fork(after_in_child=_drawn.clear)

# Makes a fresh id with the given prefix: new_id("job") -> "job_01K…".
NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """A fresh id: the prefix and a ULID, whose order is the order of creation to the millisecond."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(_random())
    return f"{prefix}_{''.join([_PAIRS[value >> shift & 0x3FF] for shift in _SHIFTS])}"


def _random() -> bytes:
    """10 bytes of the system's randomness. To ask the system for each id would take longer than all the rest of it."""
    try:
        return _drawn.pop()
    except IndexError:
        block = os.urandom(10 * 256)
        _drawn.extend(block[start : start + 10] for start in range(10, len(block), 10))
        return block[:10]


class LateId:
    """An id that is made when somebody asks for its text: few calls, say, log a line or call on under theirs."""

    __slots__ = ("_made", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made = ""

    def __str__(self) -> str:
        self._made = self._made or new_id(self._prefix)
        return self._made
