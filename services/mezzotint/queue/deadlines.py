"""Things to do at a moment, kept in buckets of time so that most of them can be dropped again cheaply."""

import heapq
from math import ceil


class Deadlines:
    """Keys by moment, in seconds. `due` gives a key up to one `grain` late, never early. Adding and discarding cost O(1)."""

    def __init__(self, grain: float) -> None:
        self._grain = grain
        self._buckets: dict[int, set[str]] = {}
        self._order: list[int] = []

    def add(self, at: float, key: str) -> None:
        """`key` is due at `at`."""
        bucket = ceil(at / self._grain)
        keys = self._buckets.get(bucket)
        if keys is None:
            keys = self._buckets[bucket] = set()
            heapq.heappush(self._order, bucket)
        keys.add(key)

    def discard(self, at: float, key: str) -> None:
        """`key`, added for `at`, is not due any more; nothing happens if it was not or has been given."""
        if keys := self._buckets.get(ceil(at / self._grain)):
            keys.discard(key)

    def due(self, now: float) -> list[str]:
        """Every key whose moment has come; each is given once."""
        keys: list[str] = []
        while self._order and self._order[0] * self._grain <= now:
            keys += sorted(self._buckets.pop(heapq.heappop(self._order)))
        return keys
