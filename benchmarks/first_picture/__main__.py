"""python -m benchmarks.first_picture [--json] [--quick]: see README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.first_picture import ceilings
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.queue.v1 import queue_pb2, queue_pb2_grpc
from mezzotint.runtime import calls, channel
from mezzotint.runtime.tls import Authority
from mezzotint_client.plan import SERVICES
from mezzotint_client.suite import Suite
from tests.support.people import Person, gateway_channel, sign_up

# The limits of the free tier would end the run.
TIER = "enterprise"
PICTURES, PICTURES_QUICK = 60, 20
STEPS = 8


@dataclass
class Picture:
    """Seconds from the request to two moments as its client sees them, and what the model took of it."""

    start: float
    total: float
    model: float


async def one_picture(person: Person, queue: queue_pb2_grpc.QueueServiceAsyncStub) -> Picture:
    """Draw one picture with nothing else going on."""
    began, start, identifier = time.perf_counter(), 0.0, ""
    async for event in person.generate("a red heart", steps=STEPS, seed=1):
        identifier = event.accepted.generation_id or identifier
        if event.WhichOneof("event") == "drawing":
            start = time.perf_counter() - began
    total = time.perf_counter() - began
    job = await calls.call(queue.GetJob, queue_pb2.GetJobRequest(job_id=identifier))
    return Picture(start, total, generation_pb2.GenerationResult.FromString(job.result).model_ms / 1e3)


def memory_mb(suite: Suite) -> dict[str, float]:
    """Resident memory of each service in MB, pages shared with others counted in full."""
    return {name: sum(each.memory_info().rss for each in family(suite.pid(name))) / 1e6 for name in SERVICES}


def family(pid: int) -> list[psutil.Process]:
    """A process and its children."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


async def draw(suite: Suite, count: int) -> list[Picture]:
    """Draw `count` pictures one after another, after two that warm the way up."""
    operator = Authority.open(suite.data).identity("operator")
    async with (
        gateway_channel(suite.addresses["gateway"], suite.data) as gateway,
        channel.connect(suite.addresses["queue"], "queue", operator) as to_queue,
        channel.connect(suite.addresses["auth"], "auth", operator) as to_auth,
    ):
        person = await sign_up(gateway, tier=(TIER, to_auth))
        queue: Any = queue_pb2_grpc.QueueServiceStub(to_queue)
        for _ in range(2):
            await one_picture(person, queue)
        return [await one_picture(person, queue) for _ in range(count)]


async def measure(count: int) -> dict[str, float]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        began = time.perf_counter()
        async with Suite.start(data, ports="free") as suite:
            ready = time.perf_counter() - began
            memory = memory_mb(suite)
            pictures = await draw(suite, count)
        fsync = ceilings.fsync_seconds(data)
    echo = await ceilings.echo_seconds()
    starts = sorted(picture.start * 1e3 for picture in pictures)
    return {
        "start_p50_ms": statistics.median(starts),
        "start_p95_ms": starts[int(len(starts) * 0.95)],
        "total_p50_ms": statistics.median(picture.total * 1e3 for picture in pictures),
        "model_p50_ms": statistics.median(picture.model * 1e3 for picture in pictures),
        "total_over_model": statistics.median(picture.total / picture.model for picture in pictures),
        "suite_ready_s": ready,
        "idle_memory_mb": sum(memory.values()),
        **{f"idle_memory_{name}_mb": value for name, value in memory.items()},
        "echo_unary_p50_ms": statistics.median(echo) * 1e3,
        "fsync_p50_ms": statistics.median(fsync) * 1e3,
        "pictures": len(pictures),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_picture")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--quick", action="store_true", help=f"{PICTURES_QUICK} pictures instead of {PICTURES}")
    options = parser.parse_args()
    figures = asyncio.run(measure(PICTURES_QUICK if options.quick else PICTURES))
    if not options.json:
        print("\n".join(f"{name:28} {value:10.2f}" for name, value in figures.items()))
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
