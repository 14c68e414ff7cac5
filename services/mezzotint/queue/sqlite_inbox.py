"""Operations on their way from the event loop to the writing thread.

What is asked for in one turn of the event loop is handed over together, so that it costs one wake-up of the thread. A commit
costs nearly the same for one item as for many: so new jobs that come fast wait for each other, as nobody works on them yet,
while the change of a job, which keeps a worker waiting, goes at once and takes along what waits.
"""

import asyncio
import math
import queue
import time
from contextlib import suppress

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_operations import Operation, refuse, size

# A transaction with so many items takes no more; the last hand-overs may bring it up to three times as many.
BATCH_ITEMS_MAX = 256
# New jobs wait for more while they come at this rate, seen over about as long as MEMORY_SECONDS.
CROWD_PER_SECOND = 1000
MEMORY_SECONDS = 0.01
GATHER_SECONDS = 0.002
# So many waits in a row at most, each of which brought as many more as make it worth while.
GATHERINGS_MAX = 4
WORTH_ITEMS = 4


class Inbox:
    """Filled on the event loop, emptied by one other thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[Operation] = []
        self._items = self._round = 0
        self._waiting: queue.SimpleQueue[list[Operation] | None] = queue.SimpleQueue()
        self._closed = self._hurried = False
        self._crowd = Crowd()

    def put(self, operation: Operation) -> None:
        """Have an operation done: its outcome tells what became of it."""
        if self._closed:
            refusal = StoreUnavailable("the store does not take changes any more; the server is stopping")
            operation.outcome.set_exception(refusal)
            return
        items = len(operation.items)
        if not self._hurried:
            self._arrange(operation.at_once is not None and self._crowd.joined(items, time.monotonic()))
        self._gathered.append(operation)
        self._items += items
        if self._items >= BATCH_ITEMS_MAX:
            self._hand_over()

    def close(self) -> None:
        """Take nothing more; what was taken is still given."""
        self._closed = True
        self._hand_over()
        self._waiting.put(None)

    def fail(self) -> None:
        """The store has failed: take nothing more, and refuse what waits."""
        self._closed = True
        self._hand_over()
        # The other thread may be taking from it at the same time.
        with suppress(queue.Empty):
            while True:
                refuse(self._waiting.get_nowait() or [])

    def next(self, seconds: float | None) -> list[Operation] | None:
        """Everything that waits, once there is something; None when nothing more comes. On the other thread.

        Raises TimeoutError when nothing came for so long.
        """
        try:
            operations = self._waiting.get(timeout=seconds)
        except queue.Empty as error:
            raise TimeoutError from error
        return None if operations is None else self._fill(operations)

    def _fill(self, operations: list[Operation]) -> list[Operation]:
        """The operations with those that wait behind them."""
        while size(operations) < BATCH_ITEMS_MAX:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._waiting.put(None)
                break
            operations += more
        return operations

    def _arrange(self, waits: bool) -> None:
        """See to it that what comes now is handed over: at the end of this turn of the event loop, or after a wait."""
        if not waits:
            self._hurried = True
            self._loop.call_soon(self._hand_over)
        elif not self._gathered:
            self._wait(self._round, GATHERINGS_MAX)

    def _wait(self, of_round: int, left: int) -> None:
        self._loop.call_later(GATHER_SECONDS, self._gather, of_round, self._items, left)

    def _gather(self, of_round: int, before: int, left: int) -> None:
        """A wait is over: hand over what came, or wait for more. What was handed over meanwhile is of an earlier round."""
        if of_round != self._round:
            return
        if left > 1 and self._items - before >= WORTH_ITEMS:
            self._wait(of_round, left - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the thread what was gathered."""
        if self._gathered:
            self._waiting.put(self._gathered)
            self._gathered, self._items, self._hurried = [], 0, False
            self._round += 1


class Crowd:
    """How fast items come, as a count that fades."""

    def __init__(self) -> None:
        self._recent = self._seen = 0.0

    def joined(self, items: int, now: float) -> bool:
        """So many came at this time; gives whether that is a crowd."""
        self._recent = self._recent * math.exp((self._seen - now) / MEMORY_SECONDS) + items
        self._seen = now
        return self._recent >= CROWD_PER_SECOND * MEMORY_SECONDS
