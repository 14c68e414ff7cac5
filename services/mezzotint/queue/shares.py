"""Which tier is next: weighted deficit round robin between minimum and maximum shares; what is not used is lent."""

from collections.abc import Collection, Iterable, Sequence

from mezzotint.queue.deficits import Deficits
from mezzotint.queue.grants import RecentGrants
from mezzotint.queue.proportions import Proportions
from mezzotint.queue.tiers import Tier

# A tier with a debt is below its floor at this part of it: the debt of a long job may take long to pay off.
INDEBTED_FLOOR = 0.5


class TierShares:
    """Picks the tier that is owed most; one that has had less than its minimum over the last minute goes before all others."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.proportions = Proportions(tiers)
        self.grants = RecentGrants()
        self.deficits = Deficits(self.proportions)
        self.yielding: frozenset[str] = frozenset()
        """Tiers that get their minimum and what the others leave, and no more."""

    def choose(self, waiting: Collection[str]) -> str:
        """The tier among `waiting`, those with work: one below its minimum, owed most, of the greater weight."""
        tiers, owed = self.proportions.tiers, self.deficits.owed
        short = self._short(waiting)
        rest = [name for name in waiting if name not in self.yielding]
        return max(short or rest or waiting, key=lambda name: (owed[name], tiers[name].weight, name))

    def charge(self, name: str, cost_ms: float, waiting: Collection[str], now: float = 0.0) -> None:
        """`name` got work of `cost_ms` at `now`, in seconds, when `waiting` (itself among them) had work."""
        self.grants.add(name, cost_ms, now)
        self.deficits.pay(name, cost_ms, waiting)

    def correct(self, name: str, more_ms: float, waiting: Collection[str]) -> None:
        """Work that `name` was charged for cost so much more, or less, than was expected."""
        if waiting and more_ms:
            self.deficits.pay(name, more_ms, waiting)

    def leave(self, name: str, waiting: Collection[str]) -> None:
        """`name` has no work any more; what it is owed goes to `waiting`, the tiers that still have."""
        self.deficits.give(name, waiting)

    def replace(self, tiers: Iterable[Tier]) -> None:
        """Other promises from now on; what the tiers are owed stays. Tiers that are not named any more keep weight 1."""
        self.proportions.replace(tiers)

    def _short(self, waiting: Collection[str]) -> list[str]:
        """Those of `waiting` that have had less than their minimum lately."""
        tiers, owed, granted = self.proportions.tiers, self.deficits.owed, self.grants.work_ms
        total = sum(granted.values())
        return [
            name
            for name in waiting
            if granted[name] < total * tiers[name].share_min * (1.0 if owed[name] >= 0 else INDEBTED_FLOOR)
        ]
