"""Credentials that auth refused a moment ago, so that a client that hammers with a bad one does not reach auth each time."""

from collections import OrderedDict

from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import MezzotintError

# A credential may become good at any time; a refusal is never repeated for longer.
KEEP_SECONDS = 1.0
ENTRIES_MAX = 10_000


class Refusals:
    """The latest refusals by fingerprint; the oldest goes when there are more than 10,000."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, MezzotintError]] = OrderedDict()

    def add(self, fingerprint: bytes, error: MezzotintError) -> None:
        """Remember a refusal."""
        self._entries[fingerprint] = (self._clock.monotonic() + KEEP_SECONDS, error)
        self._entries.move_to_end(fingerprint)
        if len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)

    def check(self, fingerprint: bytes) -> None:
        """Raise the refusal again while it is remembered."""
        until, error = self._entries.get(fingerprint, (0.0, None))
        if error is None:
            return
        if until <= self._clock.monotonic():
            del self._entries[fingerprint]
            return
        # A new one: an exception that is raised again and again gathers tracebacks.
        raise type(error)(error.message, metadata=error.metadata)
