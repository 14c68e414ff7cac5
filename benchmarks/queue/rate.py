"""How fast something went, and the middle of several rounds of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Rate:
    """What was done a second, and how many were done in all, those of the warm-up included."""

    per_s: float
    count: int


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over all rounds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def processor_seconds(process: psutil.Process) -> float:
    """Processor time that a process has used, all its threads together."""
    times = process.cpu_times()
    return float(times.user + times.system)
