"""What a watcher costs the queue: memory, and processor time while its job only waits."""

import asyncio
import time
from pathlib import Path

import uvloop

from benchmarks.queue.callers import enqueue, open_channel, stub_of
from benchmarks.queue.processes import Client, QueueProcess, Target
from benchmarks.queue.rate import processor_seconds
from mezzotint.api.queue.v1 import queue_pb2

# Streams are opened so many at once.
OPENING = 64
# Let everything that opening has left behind settle before looking, then look for as long.
SETTLE_SECONDS = 2.0
LOOK_SECONDS = 4.0


async def measure(data: Path, caller: Client, watchers: int) -> dict[str, float]:
    """Kilobytes a watcher, and the part of one processor that all of them take, each watching a job of its own."""
    async with QueueProcess.running(data) as queue:
        job_ids = await caller.do(waiting_jobs, queue.target, watchers)
        before = queue.seen.memory_info().rss
        marker = data / "watched"
        watching = asyncio.ensure_future(caller.do(watch_all, queue.target, job_ids, marker))
        while not marker.exists():
            if watching.done():
                await watching
            await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_SECONDS)
        busy, began = processor_seconds(queue.seen), time.perf_counter()
        await asyncio.sleep(LOOK_SECONDS)
        busy = (processor_seconds(queue.seen) - busy) / (time.perf_counter() - began)
        after = queue.seen.memory_info().rss
        marker.unlink()
        opened_s = await watching
    return {
        "watchers_10k_kb": (after - before) / 1e3 / watchers,
        "watchers_10k_processors": busy,
        "watchers_opened_per_s": watchers / opened_s,
        "watchers": watchers,
    }


def waiting_jobs(target: Target, count: int) -> list[str]:
    """Enqueue jobs that nobody takes; gives their ids."""

    async def run() -> list[str]:
        async with open_channel(target, "gateway") as opened:
            return await enqueue(stub_of(opened), count)

    return uvloop.run(run())


def watch_all(target: Target, job_ids: list[str], marker: Path) -> float:
    """Watch every job, make `marker` once each has told of itself, and go on until it is gone.

    Gives the seconds it took until the last has told.
    """
    return uvloop.run(_watch_all(target, job_ids, marker))


async def _watch_all(target: Target, job_ids: list[str], marker: Path) -> float:
    async with open_channel(target, "gateway") as opened:
        stub, room, told = stub_of(opened), asyncio.Semaphore(OPENING), asyncio.Barrier(len(job_ids) + 1)

        async def watch(job_id: str) -> None:
            async with room:
                events = aiter(stub.WatchJob(queue_pb2.WatchJobRequest(job_id=job_id)))
                await anext(events)
            await told.wait()
            async for _ in events:
                pass

        began = time.perf_counter()
        async with asyncio.TaskGroup() as watching:
            tasks = [watching.create_task(watch(job_id)) for job_id in job_ids]
            await told.wait()
            opened_s = time.perf_counter() - began
            await asyncio.to_thread(_until_gone, marker)
            for task in tasks:
                task.cancel()
        return opened_s


def _until_gone(marker: Path) -> None:
    marker.touch()
    while marker.exists():
        time.sleep(0.05)
