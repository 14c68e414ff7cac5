"""Hashing in a bounded pool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from mezzotint.auth.passwords import Passwords
from mezzotint.runtime.errors import ServerOverloaded

CHEAP_KIB = 7 * 1024


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    """One thread, two may wait."""
    opened = Passwords(threads=1, waiting_max=2, wait_seconds_max=60, memory_kib=CHEAP_KIB, passes=1)
    yield opened
    await opened.close()


@pytest.fixture
def gate(passwords: Passwords) -> Iterator[threading.Event]:
    """What jobs wait for; open at the end, however the test ended, since the pool waits for its jobs."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_hash_is_argon2id_with_the_parameters_asked_for(passwords: Passwords) -> None:
    """Ensures that what is stored is the algorithm we say, salted, and verifies only its password."""
    first, second = await passwords.hash("secret"), await passwords.hash("secret")
    assert first.startswith("$argon2id$v=19$m=7168,t=1,p=1$")
    assert first != second
    assert (await passwords.verify("secret", first)).right
    assert not (await passwords.verify("Secret", first)).right
    assert not (await passwords.verify("secret", "no hash at all")).right


async def test_nobody_has_no_password(passwords: Passwords) -> None:
    """Ensures that no password is right for an account that does not exist, not even the empty one."""
    for password in ("secret", ""):
        assert not (await passwords.verify(password, None)).right


async def test_other_parameters_give_a_new_hash_once(passwords: Passwords) -> None:
    """Ensures that stronger parameters reach an account at its next sign-in, and then it stays as it is."""
    old = await passwords.hash("secret")
    stronger = Passwords(threads=1, waiting_max=2, wait_seconds_max=60, memory_kib=CHEAP_KIB, passes=2)
    assert (await stronger.verify("wrong", old)).rehashed is None
    rehashed = (await stronger.verify("secret", old)).rehashed
    assert rehashed is not None
    assert rehashed.startswith("$argon2id$v=19$m=7168,t=2,p=1$")
    verdict = await stronger.verify("secret", rehashed)
    assert (verdict.right, verdict.rehashed) == (True, None)
    await stronger.close()


async def test_too_many_are_refused_with_a_time_to_come_back(passwords: Passwords, gate: threading.Event) -> None:
    """Ensures that a full pool refuses at once, and takes the next as soon as it has room."""
    taken = [asyncio.ensure_future(passwords._run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ServerOverloaded) as refused:
        await passwords.hash("secret")
    assert refused.value.retry_after is not None
    assert 1 <= refused.value.retry_after <= 60
    assert "2 passwords wait" in refused.value.message
    gate.set()
    await asyncio.gather(*taken)
    assert await passwords.hash("secret")


async def test_a_caller_who_hangs_up_leaves_the_queue(passwords: Passwords, gate: threading.Event) -> None:
    """Ensures that nobody hashes for callers who are gone, and that their places are free at once."""
    hashed = threading.Event()
    running = asyncio.ensure_future(passwords._run(gate.wait))
    waiting = [asyncio.ensure_future(passwords._run(hashed.set)) for _ in range(2)]
    await asyncio.sleep(0)
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    others = [asyncio.ensure_future(passwords.hash("secret")) for _ in range(2)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(running, *others)
    assert not hashed.is_set()


async def test_a_caller_who_hangs_up_too_late_keeps_the_thread_busy(passwords: Passwords, gate: threading.Event) -> None:
    """Ensures that a job which runs counts until it ends, or hanging up would let everybody in."""
    begun = threading.Event()

    def job() -> bool:
        begun.set()
        return gate.wait()

    calls = [asyncio.ensure_future(passwords._run(job))]
    await asyncio.to_thread(begun.wait)
    calls[0].cancel()
    calls += [asyncio.ensure_future(passwords._run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ServerOverloaded):
        await passwords.hash("secret")
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_nobody_waits_longer_than_callers_do(passwords: Passwords, gate: threading.Event) -> None:
    """Ensures that a slow pool refuses before it is full, with the time that what waits will take."""
    passwords._job_seconds, passwords._wait_seconds_max, passwords._taken_max = 0.5, 5, 100
    taken = [asyncio.ensure_future(passwords._run(gate.wait)) for _ in range(11)]
    await asyncio.sleep(0)
    with pytest.raises(ServerOverloaded, match="10 passwords wait") as refused:
        await passwords.hash("secret")
    assert refused.value.retry_after == 6
    gate.set()
    await asyncio.gather(*taken)
