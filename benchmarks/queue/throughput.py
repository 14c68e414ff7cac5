"""Enqueue by call and by stream, and the whole life of a job, each in several rounds with the ceilings between them."""

import asyncio
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks.ceilings import echo, raw_sqlite
from benchmarks.queue import callers, workers
from benchmarks.queue.jobs import record
from benchmarks.queue.processes import Client, QueueProcess, Target
from benchmarks.queue.rate import Rate, medians, processor_seconds
from benchmarks.queue.sizes import Sizes

Figures = dict[str, float]


async def measure(data: Path, caller: Client, worker: Client, sizes: Sizes) -> Figures:
    """Medians of all rounds, by figure; the first round only warms everything up."""
    async with QueueProcess.running(data) as queue:
        with echo.serving(data) as echoing:
            rounds = [await one_round(queue, echoing, caller, sizes) for _ in range(sizes.rounds + 1)]
    # On a database of its own: no job of the rounds before waits in it.
    async with QueueProcess.running(data / "lifecycle") as queue:
        lives = [await one_lifecycle(queue, caller, worker, sizes.lifecycle_jobs) for _ in range(sizes.rounds + 1)]
    return medians(rounds[1:]) | medians(lives[1:])


async def one_round(queue: QueueProcess, echoing: echo.Echo, caller: Client, sizes: Sizes) -> Figures:
    """Each figure once, one after the other; also what one call or message costs the server in processor time."""
    bare, bare_process = Target(echoing.address, queue.target.data), psutil.Process(echoing.pid)
    seconds, jobs = sizes.seconds, sizes.batch_jobs
    figures = {
        **await seen("echo_unary", bare_process, caller.do(callers.echo_unary, bare, seconds)),
        **await seen("enqueue_unary", queue.seen, caller.do(callers.enqueue_unary, queue.target, seconds)),
        **await seen("echo_stream", bare_process, caller.do(callers.echo_stream, bare, jobs)),
    }
    kept = await caller.do(callers.waiting, queue.target)
    figures |= await seen("enqueue_batch", queue.seen, caller.do(callers.enqueue_batch, queue.target, jobs))
    return figures | {"raw_sqlite_per_s": await caller.do(raw_per_s, queue.target.data / "raw", kept, jobs)}


async def one_lifecycle(queue: QueueProcess, caller: Client, worker: Client, jobs: int) -> Figures:
    """Jobs a second from the first request to the last acknowledged result, enqueued and worked on at the same time."""
    return await seen("lifecycle", queue.seen, lifecycle(queue.target, caller, worker, jobs))


async def seen(name: str, server: psutil.Process, work: Awaitable[Rate]) -> Figures:
    """The rate of `work`, and the microseconds of processor time that one of it took of the server."""
    before = processor_seconds(server)
    rate = await work
    used = processor_seconds(server) - before
    return {f"{name}_per_s": rate.per_s, f"{name}_cpu_us": used / rate.count * 1e6}


async def lifecycle(target: Target, caller: Client, worker: Client, jobs: int) -> Rate:
    """The worker completes what the caller enqueues."""
    completing = worker.do(workers.complete, target, jobs)
    began, ended = await asyncio.gather(caller.do(callers.enqueue_when_worked, target, jobs), completing)
    return Rate(jobs / (ended - began), jobs)


def raw_per_s(folder: Path, kept: int, jobs: int) -> float:
    """As many jobs put directly into a database that has as many as the queue's had."""
    folder.mkdir(exist_ok=True)
    with closing(raw_sqlite.RawStore(folder)) as raw:
        raw.put([record() for _ in range(kept - len(raw))])
        return raw.put([record() for _ in range(jobs)])
