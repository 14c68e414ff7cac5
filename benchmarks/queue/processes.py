"""The real queue as a process, and processes of their own for those who call it."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from mezzotint.runtime.tls import Authority
from mezzotint_client import plan
from mezzotint_client.process import ServiceProcess
from mezzotint_client.suite import make_identities

P = ParamSpec("P")
Result = TypeVar("Result")
READY_SECONDS_MAX = 300.0
# The benchmark is one account to the queue, or a few: none is to be told that it has too much waiting.
UNLIMITED = {"MEZZOTINT_QUEUE_ACCOUNT_WAITING_MAX": "1000000", "MEZZOTINT_QUEUE_REFLECTION": "false"}


@dataclass(frozen=True)
class Target:
    """A server to call, and the data folder with the certificates to do so; plain, so that it can go to another process."""

    address: str
    data: Path


class QueueProcess:
    """`python -m mezzotint.queue` on a data folder. Use `start`, and `running` around all."""

    def __init__(self, data: Path) -> None:
        (data / "logs").mkdir(parents=True, exist_ok=True)
        make_identities(data, ("queue", "operator", "gateway", "inference"))
        with ExitStack() as held:
            ports = {**plan.default_ports(), "queue": plan.hold_free_port(held)}
        self.target = Target(f"{plan.HOST}:{ports['queue']}", data)
        environment = plan.environment("queue", data, ports, UNLIMITED)
        self._process = ServiceProcess("queue", self.target.address, environment, data / "logs" / "queue.log")
        self._operator = Authority.open(data).identity("operator")

    @classmethod
    @asynccontextmanager
    async def running(cls, data: Path) -> AsyncIterator["QueueProcess"]:
        """The queue, ready; stopped in order at the end."""
        queue = cls(data)
        try:
            await queue.start()
            yield queue
        finally:
            await queue.stop()

    async def start(self) -> None:
        """Start and wait until it is ready."""
        await self._process.start()
        await self._process.ready(self._operator, READY_SECONDS_MAX)

    async def stop(self) -> None:
        """Stop in order."""
        await self._process.stop()

    async def crash(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""
        self._process.kill()
        await self._process.stop()

    @property
    def seen(self) -> psutil.Process:
        """The process, for its memory and its processor time."""
        return psutil.Process(self._process.pid)


class Client:
    """One process that calls, for as long as the benchmark runs: what it imports and compiles is not part of a figure."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def do(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """What `work` gives, done in the process."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))
