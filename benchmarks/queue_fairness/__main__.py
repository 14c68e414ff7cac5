"""python -m benchmarks.queue_fairness [--json] [--sweep]: see README.md beside this file."""

import argparse
import json
import time

from benchmarks.queue_fairness import scenarios, sweeps

FIGURES = (scenarios.jain, scenarios.free_floor_error, scenarios.paid_p95_over_unloaded, scenarios.eta_in_p90_band)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_fairness")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--sweep", action="store_true", help="the tables of the README instead; minutes")
    options = parser.parse_args()
    if options.sweep:
        for sweep in (sweeps.loads, sweeps.loans, sweeps.rush, sweeps.told):
            print(f"{sweep.__doc__}\n\n{sweeps.table(sweep())}\n", flush=True)
        return
    began = time.perf_counter()
    figures = {measure.__name__: measure() for measure in FIGURES}
    if not options.json:
        print("\n".join(f"{name:28} {value:10.4f}" for name, value in figures.items()))
        print(f"{'real seconds':28} {time.perf_counter() - began:10.1f}")
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
