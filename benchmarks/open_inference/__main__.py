"""python -m benchmarks.open_inference [--json] [--quick]: see README.md beside this file."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.open_inference import ceiling, servers
from benchmarks.open_inference.graph import write_graph
from benchmarks.open_inference.load import Plan, Target, compare
from benchmarks.queue.processes import Client
from benchmarks.queue_peers.environments import PeerAbsent, python_of

CACHE = Path(tempfile.gettempdir()) / "mezzotint-benchmark-peers"
CONCURRENCY = (1, 8, 64)
OURS, PEERS = "mezzotint", ("mlserver", "mlserver_batching")


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one run."""
    turn_seconds, rounds = (0.4, 4) if options.quick else (0.5, 30)
    graph = write_graph(folder / "graph" / "model.onnx")
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0], "processors": os.cpu_count(), "quick": options.quick}
    figures |= ceiling.measure(graph, 2 * turn_seconds)
    expected = ceiling.expected(graph)
    async with AsyncExitStack() as stack:
        targets: dict[str, Target] = {OURS: await stack.enter_async_context(servers.mezzotint(folder / OURS, graph))}
        try:
            python = python_of(servers.MLSERVER, options.cache, install=not options.no_install)
            for name in PEERS:
                batch = name.endswith("batching")
                targets[name] = await stack.enter_async_context(servers.mlserver(folder / name, graph, python, batch=batch))
        except (PeerAbsent, servers.NotReady) as reason:
            figures["mlserver_absent"] = str(reason)
        client = stack.enter_context(Client())
        for callers in CONCURRENCY:
            figures |= await client.do(compare, targets, Plan(callers, turn_seconds, rounds, expected))
            figures |= ahead(figures, callers)
            print(json.dumps(figures), file=sys.stderr, flush=True)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def ahead(figures: dict[str, Any], callers: int) -> dict[str, float]:
    """How many times the requests a second of the better peer ours are."""
    peers = [figures[field] for name in PEERS if (field := f"{name}_per_s_{callers}") in figures]
    return {f"ahead_{callers}": figures[f"{OURS}_per_s_{callers}"] / max(peers)} if peers else {}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open_inference")
    parser.add_argument("--json", action="store_true", help="nothing else on standard output, which is so anyway")
    parser.add_argument("--quick", action="store_true", help="one short round, within 50 seconds once the environment is there")
    parser.add_argument("--no-install", action="store_true", help="leave the peer out if its environment is not there yet")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where the peer's environment is kept; default: {CACHE}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), options))
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}))


if __name__ == "__main__":
    main()
