"""Operations on their way from the event loop to the writing thread.

What is asked for in one turn of the event loop is handed over together, so that it costs one wake-up of the thread; when many
items come at once, what is asked for in GATHER_SECONDS, and longer while the event loop cannot keep up, as a commit costs
nearly the same for one as for many.
"""

import asyncio
import queue
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_operations import Group, Operation, refuse, size

Item = TypeVar("Item")
Result = TypeVar("Result")
# A transaction with so many items takes no more; the last hand-overs may bring it up to three times as many.
BATCH_ITEMS_MAX = 256
# After a commit of so many items the next is waited for a little, so that more come with it.
CROWD_ITEMS = 4
GATHER_SECONDS = 0.002
# So many waits in a row at most, each of which brought as many again and ended too late.
GATHERINGS_MAX = 4
# A wait that ends so much too late says that the event loop has more to do than it can, so that waiting on delays nobody.
LATE_SECONDS = 0.001


class Inbox:
    """Filled on the event loop, emptied by one other thread. `crowd` is how many items the last commit had."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[Operation] = []
        self._items = self._round = 0
        self._waiting: queue.SimpleQueue[list[Operation] | None] = queue.SimpleQueue()
        self._closed = False
        self.crowd = 0

    def put(self, group: Group[Item, Result], items: Sequence[Item], *, single: bool = False) -> "asyncio.Future[Any]":
        """Have `group` do `items`: the future gives what became of each, or raises what became of the `single` one."""
        outcome: asyncio.Future[Any] = self._loop.create_future()
        if self._closed:
            outcome.set_exception(StoreUnavailable("the store does not take changes any more; the server is stopping"))
            return outcome
        if not self._gathered:
            self._hand_over_soon()
        self._gathered.append(Operation(group, items, outcome, single=single))
        self._items += len(items)
        if self._items >= BATCH_ITEMS_MAX:
            self._hand_over()
        return outcome

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

    def _hand_over_soon(self) -> None:
        if self.crowd < CROWD_ITEMS:
            self._loop.call_soon(self._hand_over)
        else:
            self._wait(self._round, GATHERINGS_MAX)

    def _wait(self, of_round: int, left: int) -> None:
        due = time.monotonic() + GATHER_SECONDS
        self._loop.call_later(GATHER_SECONDS, self._gather, of_round, due, self._items, left)

    def _gather(self, of_round: int, due: float, before: int, left: int) -> None:
        """A wait is over: hand over what came, or wait for more. What was handed over meanwhile is of an earlier round."""
        if of_round != self._round:
            return
        busy = time.monotonic() - due > LATE_SECONDS and self._items - before >= CROWD_ITEMS
        if busy and left > 1:
            self._wait(of_round, left - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the thread what was gathered."""
        if self._gathered:
            self._waiting.put(self._gathered)
            self._gathered, self._items = [], 0
            self._round += 1
