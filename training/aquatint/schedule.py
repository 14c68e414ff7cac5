"""How long a run lasts, and its learning rate: by steps, or by the clock on a machine that others use as well."""

import argparse
import time
from dataclasses import dataclass, field

SECONDS_PER_MINUTE = 60


@dataclass(frozen=True)
class Schedule:
    """Warm up, hold, then fall linearly to zero (Hu et al. 2024), so that a run can be lengthened before it falls.

    The run ends after ``steps`` in all, or ``minutes`` after this object was made, if those are given.
    """

    learning_rate: float
    steps: int
    minutes: float | None = None
    fall_share: float = 0.25
    warm_up_steps: int = 100
    started: float = field(default_factory=time.monotonic)

    def done(self, step: int) -> float:
        """Return the share of the run that is over after ``step`` steps, at most 1."""
        if self.minutes is None:
            return min(1.0, step / self.steps)
        return min(1.0, (time.monotonic() - self.started) / (self.minutes * SECONDS_PER_MINUTE))

    def rate(self, step: int) -> float:
        """Return the learning rate of the step after ``step`` steps."""
        warm = min(1.0, (step + 1) / self.warm_up_steps)
        fall = min(1.0, (1 - self.done(step)) / self.fall_share)
        return self.learning_rate * min(warm, fall)

    def is_falling(self, step: int) -> bool:
        """Tell whether the learning rate has begun to fall."""
        return self.done(step) > 1 - self.fall_share


def add_schedule_arguments(parser: argparse.ArgumentParser, *, steps: int, learning_rate: float) -> None:
    """Add the options that ``schedule_from`` reads."""
    parser.add_argument("--steps", type=int, default=steps, help="the run's length in steps, counting earlier ones")
    parser.add_argument("--minutes", type=float, help="the run's length from now on by the clock, instead of --steps")
    parser.add_argument("--fall-share", type=float, default=0.25, help="the last part, over which the rate falls to zero")
    parser.add_argument("--warm-up-steps", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)


def schedule_from(arguments: argparse.Namespace) -> Schedule:
    """Make the schedule that the command line asks for; its clock starts now."""
    return Schedule(arguments.learning_rate, arguments.steps, arguments.minutes, arguments.fall_share, arguments.warm_up_steps)
