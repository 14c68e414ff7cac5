"""Password hashing with argon2id, in a bounded pool of threads off the event loop."""

import asyncio
import math
import secrets
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mezzotint.runtime.errors import ServerOverloaded

Result = TypeVar("Result")
# The wait that a refused caller is told, at least and at most.
RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 60.0
# How much the newest duration counts in the average that the wait is estimated from.
SMOOTHING = 0.2


@dataclass(frozen=True)
class Verdict:
    """Whether a password is right, and its new hash when the stored one was made with other parameters."""

    right: bool
    rehashed: str | None = None


class Passwords:
    """Hashes `threads` passwords at once while at most `waiting_max` wait, none longer than about `wait_seconds_max`.

    More are refused with ServerOverloaded: whoever would wait longer than callers do is better told at once.
    """

    def __init__(self, *, threads: int, waiting_max: int, wait_seconds_max: float, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._threads = threads
        self._taken_max = threads + waiting_max
        self._wait_seconds_max = wait_seconds_max
        self._taken = 0
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="hashing")
        began = time.perf_counter()
        # Verified in place of the hash of an account that does not exist, so that the answer takes as long.
        self._nobody = self._hasher.hash(secrets.token_bytes(16))
        self._job_seconds = time.perf_counter() - began

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ServerOverloaded."""
        return await self._run(lambda: self._hasher.hash(normal(password)))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Check a password against a stored hash; None, for no such account, takes as long and is never right.

        Raises ServerOverloaded.
        """
        return await self._run(lambda: self._verify(normal(password), stored))

    async def close(self) -> None:
        """Let the threads finish what they do and drop what waits."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    def _verify(self, password: str, stored: str | None) -> Verdict:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
        if stored is None:
            return Verdict(right=False)
        return Verdict(True, self._hasher.hash(password) if self._hasher.check_needs_rehash(stored) else None)

    async def _run(self, job: Callable[[], Result]) -> Result:
        wait = self._job_seconds * self._taken / self._threads
        if self._taken >= self._taken_max or wait > self._wait_seconds_max:
            raise ServerOverloaded(
                f"{max(0, self._taken - self._threads)} passwords wait for hashing already; try again later",
                retry_after=min(max(math.ceil(wait), RETRY_SECONDS_MIN), RETRY_SECONDS_MAX),
            )
        self._taken += 1
        loop = asyncio.get_running_loop()
        future = self._executor.submit(self._timed, job)
        future.add_done_callback(lambda done: self._release(loop, done))
        # A caller who hangs up cancels the future, and with it the job if it has not begun.
        return await asyncio.wrap_future(future)

    def _timed(self, job: Callable[[], Result]) -> Result:
        began = time.perf_counter()
        result = job()
        self._job_seconds += SMOOTHING * (time.perf_counter() - began - self._job_seconds)
        return result

    def _release(self, loop: asyncio.AbstractEventLoop, _done: "Future[Result]") -> None:
        """Called in a hashing thread, or in the loop's when a job is cancelled: hand the place back in the loop."""

        def hand_back() -> None:
            self._taken -= 1

        if not loop.is_closed():
            loop.call_soon_threadsafe(hand_back)


def normal(password: str) -> str:
    """One form for characters that can be typed in two ways, so that every keyboard's password matches."""
    return unicodedata.normalize("NFC", password)
