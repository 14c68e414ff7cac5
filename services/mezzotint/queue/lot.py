"""Several things that are under way at once, and one wait for all of them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from mezzotint.runtime.errors import MezzotintError

Value = TypeVar("Value")
# Told what came of one thing: its value, or what it failed with.
Tell = Callable[[Value | BaseException], None]


class Lot(Generic[Value]):
    """`outcomes` is done once each of `count` things has been told of: a value, or the expected failure of that one alone.

    Anything else that one fails with fails the whole. A task for each would cost more than the thing itself.
    """

    def __init__(self, count: int) -> None:
        self.outcomes: asyncio.Future[list[Value | MezzotintError]] = asyncio.get_running_loop().create_future()
        self._told: list[Value | MezzotintError] = [MezzotintError("not told yet")] * count
        self._left = count
        if not count:
            self.outcomes.set_result([])

    def place(self, index: int) -> Tell[Value]:
        """To be called once, with what came of the thing with this index."""
        return partial(self._put, index)

    def _put(self, index: int, outcome: Value | BaseException) -> None:
        if isinstance(outcome, BaseException) and not isinstance(outcome, MezzotintError):
            if not self.outcomes.done():
                self.outcomes.set_exception(outcome)
            return
        self._told[index] = outcome
        self._left -= 1
        if not self._left and not self.outcomes.done():
            self.outcomes.set_result(self._told)


async def only(lot: Lot[Value]) -> Value:
    """The value of the one thing in a lot. Raises what it failed with."""
    outcome = (await lot.outcomes)[0]
    if isinstance(outcome, MezzotintError):
        raise outcome
    return outcome


def result_of(done: "asyncio.Future[Value]") -> Value | BaseException:
    """What a future that is done gives, or what it failed with."""
    if done.cancelled():
        return asyncio.CancelledError()
    return done.exception() or done.result()
