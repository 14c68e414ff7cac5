"""What the writing thread is asked to do, and how the answers get back to those who asked."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from mezzotint.queue.engine import StoreUnavailable
from mezzotint.runtime.errors import MezzotintError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Does items of one kind inside the transaction under way, and gives for each its value or the error that refuses it. It
# checks an item before it writes for it, and raises only what must stop the store, or apsw.FullError.
Group = Callable[[apsw.Connection, Sequence[Item]], Sequence[Result | MezzotintError]]
# Does the items of a group as a transaction of their own; gives None, with nothing done, when that cannot be.
AtOnce = Callable[[apsw.Connection, Sequence[Item]], Sequence[Result | MezzotintError] | None]


class Operation:
    """Items to do in one transaction, and what became of each. `single`: whoever asked wants the value of the only one.

    With `at_once` the operation may wait for others of its group for a few milliseconds, as together they are done faster.
    """

    __slots__ = ("at_once", "group", "items", "outcome", "single", "values")

    def __init__(
        self,
        group: Group[Any, Any],
        items: Sequence[Any],
        outcome: "asyncio.Future[Any]",
        *,
        single: bool = False,
        at_once: AtOnce[Any, Any] | None = None,
    ) -> None:
        self.group = group
        self.items = items
        self.outcome = outcome
        self.single = single
        self.at_once = at_once
        self.values: Sequence[Any] = ()

    def refuse(self, error: Exception) -> None:
        """None of the items is done, for the same reason."""
        self.values = [error] * len(self.items)


def size(operations: Sequence[Operation]) -> int:
    """The items of operations."""
    return sum([len(operation.items) for operation in operations])


def fill(connection: apsw.Connection, operations: Sequence[Operation]) -> None:
    """Do the operations, those of one group together. No two of them are of the same job, so their order is free."""
    groups: dict[Group[Any, Any], list[Operation]] = {}
    for operation in operations:
        groups.setdefault(operation.group, []).append(operation)
    for group, members in groups.items():
        _deal(members, group(connection, _items_of(members)))


def fill_at_once(connection: apsw.Connection, operations: Sequence[Operation]) -> bool:
    """Do the operations as a transaction of their own if they are of one group that can; gives whether they are done."""
    first = operations[0]
    if first.at_once is None or any(operation.group != first.group for operation in operations):
        return False
    values = first.at_once(connection, _items_of(operations))
    if values is not None:
        _deal(operations, values)
    return values is not None


def _items_of(operations: Sequence[Operation]) -> Sequence[Any]:
    """The items of operations of one group."""
    return operations[0].items if len(operations) == 1 else [item for operation in operations for item in operation.items]


def _deal(operations: Sequence[Operation], values: Sequence[Any]) -> None:
    """Give each operation the values of its items."""
    assert len(values) == size(operations), "a group gives a value for each item"
    start = 0
    for operation in operations:
        end = start + len(operation.items)
        operation.values = values[start:end]
        start = end


def each(connection: apsw.Connection, works: Sequence[Callable[[apsw.Connection], Any]]) -> list[Any]:
    """A group whose items are functions."""
    return [_attempt(connection, work) for work in works]


def _attempt(connection: apsw.Connection, work: Callable[[apsw.Connection], Any]) -> Any:
    """What `work` gives, or the expected failure that it raises."""
    try:
        return work(connection)
    except MezzotintError as error:
        return error


def settle(operations: Sequence[Operation]) -> None:
    """Tell everybody who still waits what became of their operation, in the order they asked. On the event loop."""
    for operation in operations:
        if operation.outcome.done():
            continue
        value = operation.values[0] if operation.single else operation.values
        if isinstance(value, BaseException):
            operation.outcome.set_exception(value)
        else:
            operation.outcome.set_result(value)


def refuse(operations: Sequence[Operation]) -> None:
    """Tell everybody that the store has failed. On the event loop."""
    for operation in operations:
        if not operation.outcome.done():
            text = "the store failed; it is not known whether the change was kept"
            operation.outcome.set_exception(StoreUnavailable(text))
