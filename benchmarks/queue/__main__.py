"""python -m benchmarks.queue [--json] [--quick]: see README.md beside this file."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.queue import backlog, picks, pickup, throughput, watchers
from benchmarks.queue.processes import Client, QueueProcess
from benchmarks.queue.sizes import FULL, QUICK, Sizes


async def measure(data: Path, sizes: Sizes) -> dict[str, float]:
    """All figures of one run, with its data in a folder."""
    figures: dict[str, float] = {}

    def add(more: dict[str, float]) -> None:
        # To standard error as they come: a run that is broken off has told what it knew.
        print("\n".join(f"{name:28} {value:12.2f}" for name, value in more.items()), file=sys.stderr, flush=True)
        figures.update(more)

    add({"load_before": os.getloadavg()[0], "processors": float(os.cpu_count() or 1)})
    with Client() as caller, Client() as worker:
        add(await throughput.measure(data / "throughput", caller, worker, sizes))
        async with QueueProcess.running(data / "pickup") as queue:
            add(await pickup.measure(queue.target, caller, worker, sizes.pickup_seconds))
        add(await watchers.measure(data / "watchers", caller, sizes.watchers))
        few = await caller.do(picks.pick_us, picks.FEW, sizes.picks)
        many = await worker.do(picks.pick_us, sizes.many_jobs, sizes.picks)
        add({"pick_us_10k": few, "pick_us_1m": many, "pick_jobs": sizes.many_jobs})
    add(await backlog.measure(data / "backlog", sizes.many_jobs))
    add({"load_after": os.getloadavg()[0]})
    return figures


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue")
    parser.add_argument("--json", action="store_true", help="nothing else on standard output, which is so anyway")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller, within 50 seconds")
    parser.add_argument(
        "--folder", type=Path, help="where the databases are made: on the disk to be measured; default: a temporary one"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), QUICK if options.quick else FULL))
    figures["quick"] = options.quick
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
