"""kill -9 of the queue at any moment: whatever it acknowledged over the wire is there when it comes back.

To see a failure again run its seed, for example `-k "kills and 3"`; what the server did before it died is a matter of time.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mezzotint.runtime.tls import Authority
from tests.queue.kill.journal import Journal
from tests.queue.kill.load import Load, Ref
from tests.queue.kill.verify import verify
from tests.queue.wire import Caller, settings, within

KILLS = 25
# From the beginning of the load, or from the first acknowledgement on a machine that takes its time.
SECONDS_MIN, SECONDS_MAX = 0.001, 0.05
SOME_WAY_SECONDS_MAX = 5.0


class Nursery:
    """Real servers on one data folder, one after the other."""

    def __init__(self, process: Process, data: Path) -> None:
        self._process = process
        self._settings = settings(data, grace_seconds=0.3).model_dump(mode="json", include={*WIRED})

    async def start(self) -> tuple[int, int]:
        """The process and port of a new server. Raises AssertionError when it ended instead."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(self._settings).encode() + b"\n")
        answer = await self._answer()
        assert "port" in answer, f"the server did not start: {answer}"
        return answer["pid"], answer["port"]

    async def kill(self, process: int) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(process, signal.SIGKILL)
        assert (await self._answer())["status"] == -signal.SIGKILL

    async def _answer(self) -> dict[str, int]:
        assert self._process.stdout
        answer: dict[str, int] = json.loads(await within(self._process.stdout.readline()))
        return answer


WIRED = (
    "data", "port", "metrics_port", "heartbeat_seconds", "lease_seconds", "grace_seconds", "backoff_seconds", "drain_seconds",
    "place_seconds", "tick_seconds",
)  # fmt: skip


@contextlib.asynccontextmanager
async def nursery(data: Path, log: Path) -> AsyncIterator[Nursery]:
    """The process that makes servers; what they log goes to `log`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEZZOTINT_")}
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.queue.kill.nursery", stdin=PIPE, stdout=PIPE, stderr=stderr, env=environment
        )
        try:
            yield Nursery(process, data)
        finally:
            assert process.stdin
            process.stdin.close()
            await within(process.wait())


async def live_and_die(
    servers: Nursery, authority: Authority, journal: Journal, random_: random.Random, held: set[Ref]
) -> set[Ref]:
    """One life: compare with the life before, work, be killed. Gives the leases that the worker held."""
    process, port = await servers.start()
    queue = Caller(port, authority)
    try:
        await verify(queue, journal, sorted(journal.touched))
        journal.fresh()
        load = Load(queue, journal, random_, held if random_.random() < 0.5 else set())
        await load.connect()
        working = asyncio.ensure_future(load.run())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(load.some_way(), SOME_WAY_SECONDS_MAX)
        await asyncio.wait([working], timeout=random_.uniform(SECONDS_MIN, SECONDS_MAX))
        await servers.kill(process)
        process = 0
        await within(working)
    finally:
        await queue.close()
        if process:
            await servers.kill(process)
    journal.sync()
    return load.held


async def survive(data: Path, authority: Authority, folder: Path, seed: int, kills: int) -> Journal:
    """So many lives on one data folder, and a last one in which everything ever acknowledged is looked at."""
    random_ = random.Random(seed)
    held: set[Ref] = set()
    with contextlib.closing(Journal(folder / "journal")) as journal:
        async with nursery(data, folder / "log") as servers:
            for _ in range(kills):
                held = await live_and_die(servers, authority, journal, random_, held)
            process, port = await servers.start()
            queue = Caller(port, authority)
            await verify(queue, journal, list(journal.requests))
            await queue.close()
            await servers.kill(process)
    return journal


@pytest.mark.parametrize("seed", range(4))
async def test_kills_lose_nothing(data: Path, authority: Authority, tmp_path: Path, seed: int) -> None:
    """Ensures that jobs, ends, results, events and request ids outlive every kill, and that no lease comes back."""
    journal = await survive(data, authority, tmp_path, seed, KILLS)
    assert len(journal.requests) > KILLS / 3
    assert journal.over


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1000, 1010))
async def test_many_kills_lose_nothing(data: Path, authority: Authority, tmp_path: Path, seed: int) -> None:
    """Ensures the same over 1,000 kills."""
    await survive(data, authority, tmp_path, seed, 100)
