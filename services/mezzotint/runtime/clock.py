"""Time and ids as things handed in, so that tests decide them."""

import os
import time
from collections.abc import Callable
from functools import lru_cache
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


# Crockford's base 32, and the digit of each byte: as 256 is a multiple of 32, random bytes make random digits.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGIT_OF_BYTE = (_DIGITS * 8).encode()
_RANDOM_DIGITS = 16
_TIME_SHIFTS = range(45, -1, -5)
_BLOCK = 256
_drawn: list[str] = []
# A child made by fork must not make the ids that its parent makes.
os.register_at_fork(after_in_child=_drawn.clear)

# Makes a fresh id with the given prefix: new_id("job") -> "job_01K…".
NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """A fresh id: the prefix and a ULID, whose order is the order of creation to the millisecond."""
    return f"{prefix}_{_time_digits(time.time_ns() // 1_000_000)}{_random_digits()}"


@lru_cache(maxsize=1)
def _time_digits(milliseconds: int) -> str:
    """48 bits of time as 10 digits. Many ids are made in the same millisecond."""
    return "".join([_DIGITS[milliseconds >> shift & 31] for shift in _TIME_SHIFTS])


def _random_digits() -> str:
    """80 random bits as 16 digits. To ask the system for those of each id would take longer than all the rest of it."""
    try:
        return _drawn.pop()
    except IndexError:
        digits = os.urandom(_RANDOM_DIGITS * _BLOCK).translate(_DIGIT_OF_BYTE).decode()
        _drawn.extend(digits[start : start + _RANDOM_DIGITS] for start in range(_RANDOM_DIGITS, len(digits), _RANDOM_DIGITS))
        return digits[:_RANDOM_DIGITS]


class LateId:
    """An id that is made when somebody asks for its text: few calls, say, log a line or call on under theirs."""

    __slots__ = ("_made", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made = ""

    def __str__(self) -> str:
        self._made = self._made or new_id(self._prefix)
        return self._made
