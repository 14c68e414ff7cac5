"""How much of everything one run does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of a run. Where there is less of something than a figure's name says, how much there was is printed beside it."""

    rounds: int
    seconds: float
    batch_jobs: int
    lifecycle_jobs: int
    pickup_seconds: float
    many_jobs: int
    watchers: int
    picks: int


FULL = Sizes(
    rounds=3,
    seconds=3.0,
    batch_jobs=40_000,
    lifecycle_jobs=20_000,
    pickup_seconds=10.0,
    many_jobs=1_000_000,
    watchers=10_000,
    picks=20_000,
)
QUICK = Sizes(
    rounds=2,
    seconds=0.5,
    batch_jobs=3_000,
    lifecycle_jobs=3_000,
    pickup_seconds=2.0,
    many_jobs=20_000,
    watchers=500,
    picks=2_000,
)
