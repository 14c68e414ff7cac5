"""python -m benchmarks.step_batching [--json] [--quick] [--rows N]: see README.md beside this file."""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.step_batching import costs, load, replay
from benchmarks.step_batching.arrivals import poisson
from benchmarks.step_batching.engine_room import Room, open_room
from mezzotint.inference.batching.modes import MODES
from mezzotint.runtime import logging

# At this load the modes are compared; it gets most of the time.
COMPARED = 0.8
# Seconds in which requests come, by load and round, and how long is waited for the rest: a part of that. The modes take turns,
# so that whatever else the machine does disturbs all of them.
LOADS, LOADS_QUICK = {0.5: [10.0], COMPARED: [12.0] * 3, 1.0: [10.0], 1.2: [10.0]}, {COMPARED: [5.0]}
PATIENCE = 1.0
# Seconds for each of the other figures.
ASIDE, ASIDE_QUICK = 12.0, 3.0
SEED = 4

Cell = dict[str, Any]


async def measure(room: Room, loads: dict[float, list[float]], aside: float) -> dict[str, Any]:
    """All figures of one run."""
    figures: dict[str, Any] = {"processors": os.cpu_count(), "load_before": os.getloadavg()[0]}
    figures["step_ms"] = await asyncio.to_thread(replay.curve_of, room)
    figures |= await costs.engine_overhead(room, aside)
    figures["engine_own_ms"] = await costs.engine_own_ms(room)
    figures |= await costs.previews_cost(room, aside)
    figures["cancel_frees_within_steps"] = await costs.cancel_frees_within_steps(room, trials=3)
    figures["capacity_images_per_s"] = await load.capacity(room, aside)
    cells: list[Cell] = []
    for part, rounds in loads.items():
        outcomes = {mode: load.Outcome() for mode in MODES}
        for number, seconds in enumerate(rounds):
            arrivals = poisson(part * figures["capacity_images_per_s"], seconds, SEED + number)
            for mode, outcome in outcomes.items():
                await load.measure(room, mode, arrivals, PATIENCE * seconds, outcome)
        cells += [{"mode": mode, "load": part, **outcome.figures()} for mode, outcome in outcomes.items()]
    figures |= compared({cell["mode"]: cell for cell in cells if cell["load"] == COMPARED})
    replayed: list[Cell] = [replay.replay(mode, part, room.rows, figures["step_ms"]) for part in loads for mode in MODES]
    at_compared = compared({cell["mode"]: cell for cell in replayed if cell["load"] == COMPARED})
    figures.update({f"replayed_{name}": value for name, value in at_compared.items()}, replayed=replayed)
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
    for cells in (figures["cells"], figures["replayed"]):
        rows = [list(cells[0]), ["---"] * len(cells[0]), *([spelt(value) for value in cell.values()] for cell in cells)]
        lines += ["", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


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
        plan = (LOADS_QUICK, ASIDE_QUICK) if options.quick else (LOADS, ASIDE)
        figures: dict[str, Any] = {"quick": int(options.quick)} | asyncio.run(measure(room, *plan))
    if not options.json:
        print(table(figures))
    print(json.dumps(rounded(figures)))


if __name__ == "__main__":
    main()
