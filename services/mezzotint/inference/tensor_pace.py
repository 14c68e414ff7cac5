"""Which calls are so short that handing them to a thread would take longer than making them."""

from collections.abc import Hashable
from dataclasses import dataclass

# A thread takes about as long to begin and to answer; the event loop does other things of this length all the time.
SHORT_SECONDS = 100e-6
# A call this long was a mistake to make on the event loop: its kind is not short for many calls.
LONG_SECONDS = 2e-3
PROOF_CALLS, PROOF_CALLS_AGAIN = 16, 4096
# The mean is of about so many calls.
WINDOW_CALLS = 32
KINDS_MAX = 256


@dataclass(slots=True)
class _Seen:
    """The mean of a kind's calls, and how many more it takes to believe it."""

    mean: float
    doubts: int = PROOF_CALLS


class Pace:
    """Remembers how long calls of each kind take. Pure. A kind is what decides about the time, such as shapes and rows."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, _Seen] = {}

    def is_short(self, kind: Hashable) -> bool:
        """Whether calls of this kind have proved to be short."""
        seen = self._seen.get(kind)
        return seen is not None and not seen.doubts and seen.mean <= SHORT_SECONDS

    def took(self, kind: Hashable, seconds: float) -> None:
        """A call of this kind took so long, wherever it was made."""
        seen = self._seen.get(kind)
        if seen is None:
            if len(self._seen) >= KINDS_MAX:
                self._seen.clear()
            seen = self._seen[kind] = _Seen(seconds)
        if seconds >= LONG_SECONDS:
            seen.doubts = PROOF_CALLS_AGAIN
            return
        seen.mean += (seconds - seen.mean) / WINDOW_CALLS
        seen.doubts = max(0, seen.doubts - 1)
