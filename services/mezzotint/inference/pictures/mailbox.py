"""A box between a writer that must not wait and one reader that may be slow."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Items in order for one reader. An item put with `replaces` takes the place of an unread one put with the same."""

    def __init__(self) -> None:
        self._items: OrderedDict[Hashable, Item] = OrderedDict()
        self._arrived = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: Item, replaces: Hashable = None) -> None:
        """Add an item; after `close` it is dropped."""
        if self._closed:
            return
        key = object() if replaces is None else replaces
        self._items.pop(key, None)
        self._items[key] = item
        self._arrived.set()

    def close(self, error: BaseException | None = None) -> None:
        """End the items; with an error, the reader gets it after them."""
        if not self._closed:
            self._closed, self._error = True, error
            self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            while self._items:
                yield self._items.popitem(last=False)[1]
            if self._closed:
                break
            self._arrived.clear()
            await self._arrived.wait()
        if self._error is not None:
            raise self._error
