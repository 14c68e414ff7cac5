"""Which calls are so short that handing them to a thread would take longer than making them."""

from collections.abc import Hashable
from dataclasses import dataclass

# A thread takes about as long to begin and to answer; the event loop does other things of this length all the time.
SHORT_SECONDS = 100e-6
# Putting a call this short together with others takes longer than making it alone.
TINY_SECONDS = 60e-6
# Two calls this long in a row are no accident of a busy machine: their kind is not short for many calls.
LONG_SECONDS = 2e-3
LONG_CALLS = 2
PROOF_CALLS, PROOF_CALLS_AGAIN = 16, 4096
# The mean is of about so many calls.
WINDOW_CALLS = 32
KINDS_MAX = 256


@dataclass(slots=True)
class _Seen:
    """The mean of a kind's calls, how many more it takes to believe it, and how many of the latest were long."""

    mean: float
    doubts: int = PROOF_CALLS
    long: int = 0


class Pace:
    """Remembers how long calls of each kind take. Pure. A kind is what decides about the time, such as shapes and rows."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, _Seen] = {}

    def is_short(self, kind: Hashable, seconds: float = SHORT_SECONDS) -> bool:
        """Whether calls of this kind have proved to take no more than `seconds`."""
        seen = self._seen.get(kind)
        return seen is not None and not seen.doubts and seen.mean <= seconds

    def took(self, kind: Hashable, seconds: float) -> None:
        """A call of this kind took so long, wherever it was made."""
        seen = self._seen.get(kind)
        if seen is None:
            if len(self._seen) >= KINDS_MAX:
                self._seen.clear()
            seen = self._seen[kind] = _Seen(min(seconds, LONG_SECONDS))
        seen.long = seen.long + 1 if seconds >= LONG_SECONDS else 0
        seen.doubts = PROOF_CALLS_AGAIN if seen.long >= LONG_CALLS else max(0, seen.doubts - 1)
        # Other programs make some calls look long; one of them moves the mean no more than a call of twice its length.
        seen.mean += (min(seconds, 2 * seen.mean) - seen.mean) / WINDOW_CALLS
