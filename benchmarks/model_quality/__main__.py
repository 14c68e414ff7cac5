"""python -m benchmarks.model_quality [--json] [--quick] [--model DIR] [--run DIR]: see README.md beside this file."""

import argparse
import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.model_quality import measures
from benchmarks.model_quality.judging import Judge
from training.aquatint.bundle_sampler import BundleSampler
from training.aquatint.locations import MODEL_DIR, default_cache_dir


@dataclass(frozen=True)
class Plan:
    """How much is drawn."""

    labels: int = 200
    colours: int = 50
    styles: int = 30
    composites: int = 10
    seeds: int = 4
    timings: int = 5


QUICK = Plan(labels=24, colours=10, styles=4, composites=3, seeds=2, timings=2)


def measure(model_dir: Path, cache_dir: Path | None, plan: Plan, seed: int = 1) -> measures.Figures:
    """All figures that need no torch."""
    sampler, judge = BundleSampler(model_dir), Judge()
    return {
        **measures.fidelity(sampler, judge, plan.labels, seed),
        **measures.colour_transfer(sampler, judge, plan.colours, seed),
        **measures.style(sampler, judge, plan.styles, seed, cache_dir),
        **measures.diversity(sampler, plan.composites, plan.seeds, cache_dir),
        **measures.speed(sampler, plan.timings),
        **measures.sizes(model_dir),
        **{f"judge_{name}": value for name, value in judge.held_out.items()},
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_quality")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.labels} labels and {QUICK.colours} colours")
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--cache", type=Path, default=default_cache_dir(), help="measures nearness to its training pictures")
    parser.add_argument("--run", type=Path, help="folder of the run that was exported: measures parity too, with torch")
    options = parser.parse_args()
    figures = measure(options.model, options.cache, QUICK if options.quick else Plan())
    if options.run:
        # By name, because it needs torch, which is not everywhere.
        figures |= importlib.import_module("training.aquatint.parity").parity(options.model, options.run)
    figures |= {"load": os.getloadavg()[0], "processors": float(os.cpu_count() or 0)}
    if not options.json:
        print("\n".join(f"{name:28} {value:12.4f}" for name, value in figures.items()))
    print(json.dumps({name: float(f"{value:.3g}") for name, value in figures.items()}))


if __name__ == "__main__":
    main()
