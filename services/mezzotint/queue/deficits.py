"""What each tier is owed: the accounts of weighted deficit round robin. Pure."""

from collections import defaultdict
from collections.abc import Collection

from mezzotint.queue.proportions import Proportions


class Deficits:
    """In milliseconds of work; they add up to zero.

    Each grant is paid for by the tier that gets it and earned by all that have work, in the proportion of their shares. A tier
    that is owed something and has no work any more gives it to the others: that is the lending. One that has had too much
    keeps its debt and goes on paying it off.
    """

    def __init__(self, proportions: Proportions) -> None:
        self._proportions = proportions
        self.owed: dict[str, float] = defaultdict(float)
        """By tier; below zero: its debt."""

    def pay(self, name: str, cost_ms: float, waiting: Collection[str]) -> None:
        """`name` pays `cost_ms`; `waiting`, the tiers with work, earn it together with those that have a debt."""
        owed = self.owed
        earning = frozenset(waiting).union([other for other, debt in owed.items() if debt < 0])
        for other, share in self._proportions.of(earning).items():
            owed[other] += cost_ms * share
        owed[name] -= cost_ms
        surplus = 0.0
        for other in (earning | {name}).difference(waiting):
            surplus += max(0.0, owed[other])
            owed[other] = min(0.0, owed[other])
        self._spread(surplus, waiting)

    def give(self, name: str, waiting: Collection[str]) -> None:
        """What `name` is owed goes to `waiting`, the tiers with work; if there are none, it is kept."""
        surplus = max(0.0, self.owed[name])
        if surplus and waiting:
            self.owed[name] = 0.0
            self._spread(surplus, waiting)

    def _spread(self, surplus: float, waiting: Collection[str]) -> None:
        if surplus:
            for other, share in self._proportions.of(waiting).items():
                self.owed[other] += surplus * share
