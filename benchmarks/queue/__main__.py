"""python -m benchmarks.queue [--json] [--quick]: see README.md beside this file."""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path

from benchmarks.queue import backlog, picks, pickup, throughput, watchers
from benchmarks.queue.processes import Client, QueueProcess
from benchmarks.queue.sizes import FULL, QUICK, Sizes


async def measure(data: Path, sizes: Sizes) -> dict[str, float]:
    """All figures of one run, with its data in a folder."""
    figures = {"load_before": os.getloadavg()[0], "processors": float(os.cpu_count() or 1)}
    with Client() as caller, Client() as worker:
        figures |= await throughput.measure(data / "throughput", caller, worker, sizes)
        async with QueueProcess.running(data / "pickup") as queue:
            figures |= await pickup.measure(queue.target, caller, worker, sizes.pickup_seconds)
        figures |= await watchers.measure(data / "watchers", caller, sizes.watchers)
        figures["pick_us_10k"] = await caller.do(picks.pick_us, picks.FEW, sizes.picks)
        figures["pick_us_1m"] = await worker.do(picks.pick_us, sizes.many_jobs, sizes.picks)
        figures["pick_jobs"] = sizes.many_jobs
    figures |= await backlog.measure(data / "backlog", sizes.many_jobs)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller, within 50 seconds")
    parser.add_argument(
        "--folder", type=Path, help="where the databases are made: on the disk to be measured; default: a temporary one"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), QUICK if options.quick else FULL))
    figures["quick"] = options.quick
    if not options.json:
        print("\n".join(f"{name:28} {value:12.2f}" for name, value in figures.items()))
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
