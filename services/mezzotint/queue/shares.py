"""Which tier is next: weighted deficit round robin, minimum shares set aside first, unused shares lent to the others."""

from collections.abc import Collection, Sequence

from mezzotint.queue.tiers import Tier


class TierShares:
    """What each tier is owed, in milliseconds of work. The deficits add up to zero, and none exceeds the cost of a few jobs.

    Each grant is paid for by the tier that gets it and earned by all that have work, in the proportion of their shares. A tier
    that is owed something and has no work any more gives it to the others: that is the lending. One that has had too much
    keeps its debt and goes on paying it off.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = {tier.name: tier for tier in tiers}
        self._owed: dict[str, float] = dict.fromkeys(self._tiers, 0.0)
        self._shares: dict[frozenset[str], dict[str, float]] = {}

    def choose(self, waiting: Collection[str]) -> str:
        """The tier among `waiting`, those with work, that is owed most; ties go to the greater weight."""
        return max(waiting, key=lambda name: (self._owed[name], self._tiers[name].weight, name))

    def charge(self, name: str, cost_ms: int, waiting: Collection[str]) -> None:
        """`name` got work of `cost_ms` when `waiting` (itself among them) had work."""
        earning = frozenset(waiting).union(other for other, owed in self._owed.items() if owed < 0)
        for other, share in self.shares(earning).items():
            self._owed[other] += cost_ms * share
        self._owed[name] -= cost_ms
        surplus = 0.0
        for other in earning.difference(waiting):
            surplus += max(0.0, self._owed[other])
            self._owed[other] = min(0.0, self._owed[other])
        self._spread(surplus, waiting)

    def leave(self, name: str, waiting: Collection[str]) -> None:
        """`name` has no work any more; what it is owed goes to `waiting`, the tiers that still have."""
        surplus = max(0.0, self._owed[name])
        if surplus and waiting:
            self._owed[name] = 0.0
            self._spread(surplus, waiting)

    def shares(self, waiting: Collection[str]) -> dict[str, float]:
        """The part of all work that each of `waiting` gets: by weight, but no less than its minimum."""
        key = frozenset(waiting)
        if key not in self._shares:
            self._shares[key] = fill([self._tiers[name] for name in key])
        return self._shares[key]

    def admit(self, tier: Tier) -> None:
        """Know one more tier, if it is not known yet."""
        if tier.name not in self._tiers:
            self._tiers[tier.name] = tier
            self._owed[tier.name] = 0.0

    def owed(self) -> dict[str, float]:
        """Each tier's deficit."""
        return dict(self._owed)

    def _spread(self, surplus: float, waiting: Collection[str]) -> None:
        if surplus:
            for other, share in self.shares(waiting).items():
                self._owed[other] += surplus * share


def fill(tiers: Sequence[Tier]) -> dict[str, float]:
    """Shares that add up to 1: a tier whose weight gives it less than its minimum gets that, the rest is shared by weight."""
    shares: dict[str, float] = {}
    rest = list(tiers)
    while rest:
        left = 1.0 - sum(shares.values())
        weights = sum(tier.weight for tier in rest)
        short = [tier for tier in rest if left * tier.weight / weights < tier.share_min]
        if not short:
            return shares | {tier.name: left * tier.weight / weights for tier in rest}
        shares |= {tier.name: tier.share_min for tier in short}
        rest = [tier for tier in rest if tier not in short]
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}
