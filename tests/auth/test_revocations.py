"""The log of revocations and how it is followed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.auth.revocations import Revocation, RevocationLog, Target, Update
from mezzotint.runtime.errors import ServerDraining

LONG_SECONDS = 60.0


def revocation(sequence: int) -> Revocation:
    """The revocation with a sequence."""
    return Revocation(sequence, Target.CREDENTIAL, f"key_{sequence}")


def filled(number: int, *, history_max: int = 100) -> RevocationLog:
    """A log after so many revocations."""
    log = RevocationLog(history_max)
    for sequence in range(1, number + 1):
        log.append(revocation(sequence))
    return log


@given(st.integers(0, 12), st.integers(1, 6), st.integers(-2, 15))
def test_since_is_everything_after_or_nothing_known(number: int, history_max: int, after: int) -> None:
    """Ensures that a verifier is given exactly what it missed, or told that it cannot be."""
    known = filled(number, history_max=history_max).since(after)
    if max(0, number - history_max) <= after <= number:
        assert known == [revocation(sequence) for sequence in range(after + 1, number + 1)]
    else:
        assert known is None


def test_a_gap_is_a_defect() -> None:
    """Ensures that a revocation that got lost on its way does not pass unnoticed."""
    log = filled(2)
    with pytest.raises(AssertionError):
        log.append(revocation(4))


def test_a_restored_log_goes_on() -> None:
    """Ensures that sequences continue after a restart, also when the history is empty."""
    log = RevocationLog(2)
    log.restore(7, [revocation(sequence) for sequence in (5, 6, 7)])
    assert log.since(4) is None
    assert log.since(5) == [revocation(6), revocation(7)]
    empty = RevocationLog()
    empty.restore(7, [])
    assert (empty.since(6), empty.since(7)) == (None, [])
    empty.append(revocation(8))
    assert empty.since(7) == [revocation(8)]


async def test_a_watcher_gets_the_missed_then_the_live() -> None:
    """Ensures that a watch catches up, says that it has, and wakes at once for the next."""
    log = filled(3)
    updates = log.watch(1, asyncio.Event(), LONG_SECONDS)
    assert [await anext(updates) for _ in range(3)] == [Update(2, revocation(2)), Update(3, revocation(3)), Update(3)]
    following = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    log.append(revocation(4))
    assert await asyncio.wait_for(following, 1) == Update(4, revocation(4))
    await updates.aclose()


async def test_what_happens_while_a_watcher_is_busy_is_not_missed() -> None:
    """Ensures that revocations between two reads come all, in order."""
    log = filled(1)
    updates = log.watch(0, asyncio.Event(), LONG_SECONDS)
    assert (await anext(updates)).sequence == 1
    for sequence in (2, 3):
        log.append(revocation(sequence))
    assert [(await anext(updates)).revocation for _ in range(2)] == [revocation(2), revocation(3)]
    assert (await anext(updates)).revocation is None
    log.append(revocation(4))
    assert (await asyncio.wait_for(anext(updates), 1)).revocation == revocation(4)
    await updates.aclose()


async def test_a_watcher_that_fell_behind_is_reset() -> None:
    """Ensures that a slow verifier drops its cache instead of holding what it never heard about."""
    log = filled(1, history_max=2)
    updates = log.watch(1, asyncio.Event(), LONG_SECONDS)
    assert await anext(updates) == Update(1)
    for sequence in range(2, 7):
        log.append(revocation(sequence))
    assert await anext(updates) == Update(6, reset=True)
    assert await anext(updates) == Update(6)
    await updates.aclose()


async def test_draining_ends_a_watch_that_waits() -> None:
    """Ensures that a stop is not held up until the next heartbeat."""
    draining = asyncio.Event()
    updates = filled(0).watch(0, draining, LONG_SECONDS)
    await anext(updates)
    waiting = asyncio.ensure_future(anext(updates))
    await asyncio.sleep(0)
    draining.set()
    with pytest.raises(ServerDraining):
        await asyncio.wait_for(waiting, 1)
