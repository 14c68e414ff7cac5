"""What was answered under which request id, so that a retry has no second effect."""

from collections import deque
from collections.abc import Hashable
from typing import Any

from mezzotint.ratelimit.limit import NANOSECONDS, Moment
from mezzotint.ratelimit.packing import pack, unpack
from mezzotint.runtime.errors import RequestIdReused, ServerOverloaded

REMEMBERED_SECONDS = 600
ANSWERS_MAX = 1_000_000


class Answers:
    """Answers by key, each kept for `REMEMBERED_SECONDS`; an answer is whatever packing.py takes."""

    def __init__(self, answers_max: int = ANSWERS_MAX) -> None:
        self._max = answers_max
        self._answers: dict[Hashable, bytes] = {}
        self._ends: deque[tuple[int, Hashable]] = deque()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: Hashable, asked: int) -> Any | None:
        """The answer given before; None: none was. Raises RequestIdReused when `asked`, a fingerprint, was another."""
        known = self._answers.get(key)
        if known is None:
            return None
        asked_before, answer = unpack(known)
        if asked_before != asked:
            raise RequestIdReused(
                f"this request id was used for other charges less than {REMEMBERED_SECONDS} s ago; choose a fresh one a request"
            )
        return answer

    def require_room(self, at: Moment) -> None:
        """Raise ServerOverloaded unless one more answer may be kept."""
        if len(self._answers) >= self._max:
            raise ServerOverloaded(
                f"more than {self._max} requests in {REMEMBERED_SECONDS} s; try again later",
                retry_after=max(0, self._ends[0][0] - at.steady_ns) / NANOSECONDS,
            )

    def keep(self, key: Hashable, asked: int, answer: Any, at: Moment) -> None:
        """Remember an answer for a while. The key must be new."""
        assert key not in self._answers, "an answer is given once"
        self._answers[key] = pack(asked, answer)
        self._ends.append((at.steady_ns + REMEMBERED_SECONDS * NANOSECONDS, key))

    def forget(self, at: Moment) -> None:
        """Drop what is old."""
        while self._ends and self._ends[0][0] <= at.steady_ns:
            del self._answers[self._ends.popleft()[1]]
