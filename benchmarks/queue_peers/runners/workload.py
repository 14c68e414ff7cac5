"""What every peer does: the same jobs, counted and timed in the same way. Standard library only, for all environments."""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

PAYLOAD_BYTES = 220
CALLERS = 64
# Nobody waits longer for a worker that does not finish.
FINISH_SECONDS_MAX = 150.0


@dataclass(frozen=True)
class Workload:
    """So many jobs, and a folder for the peer's files. `role`: what this process of the peer does; "" for the first."""

    jobs: int
    folder: Path
    role: str

    @property
    def payload(self) -> str:
        """The payload of a job; text, as not every peer takes bytes."""
        return "x" * PAYLOAD_BYTES


def workload() -> Workload:
    """As the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--role", default="")
    options = parser.parse_args()
    return Workload(options.jobs, options.folder, options.role)


def report(**figures: float | str) -> None:
    """Print the figures as the last line; see __main__.py, which reads it."""
    print(json.dumps(figures), flush=True)


def beside(module: str, load: Workload, role: str) -> list[str]:
    """The command that runs another process of the same peer."""
    return [sys.executable, "-m", module, "--jobs", str(load.jobs), "--folder", str(load.folder), "--role", role]


async def all_at_once(jobs: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Make `jobs` calls, 64 at once; gives the calls a second."""
    numbers = iter(range(jobs))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return jobs / (time.perf_counter() - began)


class Done:
    """What the workers have done, counted across their processes by the size of a file."""

    def __init__(self, load: Workload) -> None:
        self._file = os.open(load.folder / "done", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    def one(self) -> None:
        """One more job is done."""
        os.write(self._file, b".")

    def wait(self, jobs: int) -> float:
        """Wait until `jobs` are done in all; gives the moment. Raises TimeoutError."""
        end = time.perf_counter() + FINISH_SECONDS_MAX
        while (done := os.fstat(self._file).st_size) < jobs:
            if time.perf_counter() > end:
                raise TimeoutError(f"the workers did {done} of {jobs} jobs in {FINISH_SECONDS_MAX:g} s")
            time.sleep(0.002)
        return time.perf_counter()


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
