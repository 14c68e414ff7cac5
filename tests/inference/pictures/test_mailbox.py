"""The box between a writer that must not wait and a reader that may be slow."""

import asyncio

import pytest

from mezzotint.inference.pictures.mailbox import Mailbox


async def test_unread_items_are_replaced_in_place_of_order() -> None:
    """A newer item with the same mark takes an unread one's place at the end; others keep their order and their number."""
    box: Mailbox[str] = Mailbox()
    for item, mark in [("a1", "a"), ("x", None), ("b1", "b"), ("a2", "a"), ("x", None)]:
        box.put(item, replaces=mark)
    box.close()
    assert [item async for item in box] == ["x", "b1", "a2", "x"]


async def test_error_comes_after_the_items() -> None:
    """A reader gets everything that was put before the error, then the error."""
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.close(KeyError("why"))
    box.put(2)
    reader = aiter(box)
    assert await anext(reader) == 1
    with pytest.raises(KeyError, match="why"):
        await anext(reader)


async def test_reader_waits_for_items() -> None:
    """A reader of an empty box wakes up when something is put."""
    box: Mailbox[int] = Mailbox()
    reading = asyncio.ensure_future(anext(aiter(box)))
    await asyncio.sleep(0)
    assert not reading.done()
    box.put(5)
    assert await asyncio.wait_for(reading, 5) == 5
