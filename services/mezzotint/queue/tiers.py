"""The tiers and what each is promised: the policy as plain values; policy.py reads it from its file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier's share is its weight over the weights of all tiers with work, between `share_min` and `share_max` (0 to 1)."""

    name: str
    weight: float = 1.0
    share_min: float = 0.0
    share_max: float = 1.0
    wait_max_seconds: float | None = None
    """An account with a job that waits this long, and without a start meanwhile, is next in the tier; None: no such promise."""
    account_running_max: int | None = None
    """The tier's jobs wait while so many of their account, of all kinds and tiers, are under way; None: without limit."""
    deferrable: bool = False
    """New jobs are deferred at a peak; the tiers that are not deferrable are the ones whose waits make a peak."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The tiers, in the order of the file, and what tiers that are not deferrable are to wait at most."""

    tiers: Sequence[Tier]
    wait_objective_seconds: float | None = None
    """The objective for the 95th percentile of waiting; None: nothing is ever deferred."""

    def names(self) -> list[str]:
        """The tiers' names."""
        return [tier.name for tier in self.tiers]

    def deferrable(self) -> frozenset[str]:
        """The names of the tiers that a peak defers."""
        return frozenset(tier.name for tier in self.tiers if tier.deferrable)
