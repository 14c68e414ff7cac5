"""Mezzotint's queue: its own process, mTLS, every answer after fsync; a worker of its own process over one stream."""

import asyncio
from importlib.metadata import version
from pathlib import Path

from benchmarks.queue import callers, throughput
from benchmarks.queue.processes import Client, QueueProcess
from benchmarks.queue_peers.runners.workload import report, workload

UNARY_SECONDS = 3.0


async def measure(folder: Path, jobs: int) -> dict[str, float]:
    """All figures."""
    with Client() as caller, Client() as worker:
        async with QueueProcess.running(folder / "enqueue") as queue:
            each = await caller.do(callers.enqueue_unary, queue.target, UNARY_SECONDS)
            await caller.do(callers.enqueue_batch, queue.target, jobs // 4)
            batch = await caller.do(callers.enqueue_batch, queue.target, jobs)
        async with QueueProcess.running(folder / "lifecycle") as queue:
            await throughput.lifecycle(queue.target, caller, worker, jobs // 4)
            life = await throughput.lifecycle(queue.target, caller, worker, jobs)
    return {"enqueue_per_s": each.per_s, "enqueue_batch_per_s": batch.per_s, "lifecycle_per_s": life.per_s}


def main() -> None:
    """Measure."""
    load = workload()
    report(**asyncio.run(measure(load.folder, load.jobs)), version=f"mezzotint {version('mezzotint')}")


if __name__ == "__main__":
    main()
