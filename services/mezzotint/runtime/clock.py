"""Time and ids as things handed in, so that tests decide them."""

import time
from collections.abc import Callable
from typing import Protocol

from ulid import ULID


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


# Makes a fresh id with the given prefix: new_id("job") -> "job_01K…".
NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """A fresh id: the prefix and a ULID, whose order is the order of creation to the millisecond."""
    return f"{prefix}_{ULID()}".lower()
