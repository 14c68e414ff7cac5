"""python -m benchmarks.step_batching [--json] [--quick] [--rows N]: see README.md beside this file."""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.step_batching import costs, load
from benchmarks.step_batching.arrivals import poisson
from benchmarks.step_batching.engine_room import Room, open_room
from mezzotint.inference.modes import MODES
from mezzotint.runtime import logging

# At this load the modes are compared; it gets most of the time.
COMPARED = 0.8
# Seconds in which requests come, by load, and how long is waited for the rest, of the same.
LOADS, LOADS_QUICK = {0.5: 10.0, COMPARED: 36.0, 1.0: 10.0, 1.2: 10.0}, {COMPARED: 5.0}
PATIENCE, PATIENCE_QUICK = 0.6, 1.0
# Seconds for each of the other figures.
ASIDE, ASIDE_QUICK = 12.0, 4.0
SEED = 4

Cell = dict[str, Any]


async def measure(room: Room, loads: dict[float, float], patience: float, aside: float) -> dict[str, Any]:
    """All figures of one run."""
    figures: dict[str, Any] = {"processors": os.cpu_count(), "load_before": os.getloadavg()[0]}
    figures |= await costs.engine_overhead(room, aside)
    figures["previews_cost"] = await costs.previews_cost(room, aside)
    figures["cancel_frees_within_steps"] = await costs.cancel_frees_within_steps(room, trials=3)
    figures["capacity_images_per_s"] = await load.capacity(room, aside)
    cells: list[Cell] = []
    for part, seconds in loads.items():
        arrivals = poisson(part * figures["capacity_images_per_s"], seconds, SEED)
        for mode in MODES:
            outcome = await load.measure(room, mode, arrivals, patience * seconds)
            cells.append({"mode": mode, "load": part, **outcome.figures()})
    figures |= compared({cell["mode"]: cell for cell in cells if cell["load"] == COMPARED})
    return figures | {"load_after": os.getloadavg()[0], "cells": cells}


def compared(cells: dict[str, Cell]) -> dict[str, float]:
    """How many times better "step" is than "request" where they are compared."""
    step, request = cells["step"], cells["request"]
    return {
        "p50_request_over_step": request["p50_s"] / step["p50_s"],
        "p99_request_over_step": request["p99_s"] / step["p99_s"],
        "first_step_p99_request_over_step": request["first_step_p99_s"] / step["first_step_p99_s"],
        "throughput_step_over_request": step["images_per_s"] / request["images_per_s"],
    }


def rounded(value: Any) -> Any:
    """Floats with three places, wherever they are."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{name:36} {value:10.3f}" for name, value in figures.items() if isinstance(value, int | float)]
    cells = figures["cells"]
    rows = [list(cells[0]), ["---"] * len(cells[0]), *([spelt(value) for value in cell.values()] for cell in cells)]
    return "\n".join([*lines, "", *(f"| {' | '.join(row)} |" for row in rows)])


def spelt(value: Any) -> str:
    """A value of a table."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_batching")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--quick", action="store_true", help=f"only the load of {COMPARED}, and shorter")
    parser.add_argument("--rows", type=int, help="rows of a call; not given: the knee that is measured first")
    options = parser.parse_args()
    logging.configure("benchmark", "warning")
    with tempfile.TemporaryDirectory() as folder:
        room = open_room(Path(folder), options.rows)
        plan = (LOADS_QUICK, PATIENCE_QUICK, ASIDE_QUICK) if options.quick else (LOADS, PATIENCE, ASIDE)
        figures: dict[str, Any] = {"quick": int(options.quick)} | asyncio.run(measure(room, *plan))
    if not options.json:
        print(table(figures))
    print(json.dumps(rounded(figures)))


if __name__ == "__main__":
    main()
