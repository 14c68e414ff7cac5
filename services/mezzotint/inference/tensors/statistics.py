"""What one version of a tensor model did since it was loaded: requests by how they ended, stages, calls by their size."""

from collections import defaultdict
from dataclasses import dataclass, field

from mezzotint.inference.tensors.call import Spent
from mezzotint.inference.tensors.meter import TensorMeter


@dataclass
class Tally:
    """How often something happened, and the nanoseconds it took together."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        """Once more."""
        self.count += 1
        self.ns += round(seconds * 1e9)


@dataclass
class Stages:
    """The stages of calls."""

    compute_input: Tally = field(default_factory=Tally)
    compute_infer: Tally = field(default_factory=Tally)
    compute_output: Tally = field(default_factory=Tally)

    def add(self, spent: Spent) -> None:
        """One call, or one request that took part in it."""
        self.compute_input.add(spent.compute_input)
        self.compute_infer.add(spent.compute_infer)
        self.compute_output.add(spent.compute_output)


@dataclass
class TensorStatistics:
    """Counts of one version, told to the meter of its model too. Times are in seconds, of one clock."""

    meter: TensorMeter
    last_inference_ms: int = 0
    inferences: int = 0
    executions: int = 0
    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    stages: Stages = field(default_factory=Stages)
    calls: dict[int, Stages] = field(default_factory=lambda: defaultdict(Stages))
    """By rows of a call."""

    def executed(self, spent: Spent) -> None:
        """A call that succeeded."""
        self.executions += 1
        self.inferences += spent.rows
        self.calls[spent.rows].add(spent)
        self.meter.called(spent.compute_infer, spent.rows)

    def succeeded(self, spent: Spent, arrived: float, now: float) -> None:
        """A request that succeeded."""
        self.success.add(now - arrived)
        self.queue.add(spent.began - arrived)
        self.meter.waited(spent.began - arrived)
        self.stages.add(spent)

    def failed(self, arrived: float, now: float) -> None:
        """A request that failed."""
        self.fail.add(now - arrived)
