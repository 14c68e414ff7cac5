"""The part of all work that each tier gets: by weight, between its minimum and its maximum. Pure."""

from collections.abc import Collection, Iterable, Sequence

from mezzotint.queue.tiers import Tier

WEIGHTS_EQUAL = 1e-12


class Proportions:
    """The tiers' promises, and what they come to for each set of tiers that has had work together."""

    def __init__(self, tiers: Iterable[Tier]) -> None:
        self.tiers = {tier.name: tier for tier in tiers}
        self._known: dict[frozenset[str], dict[str, float]] = {}

    def of(self, waiting: Collection[str]) -> dict[str, float]:
        """The part of each of the tiers `waiting`, which share all of the work."""
        key = frozenset(waiting)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = fill([self.tiers[name] for name in sorted(key)])
        return found

    def admit(self, tier: Tier) -> None:
        """Know one more tier, if it is not known yet."""
        self.tiers.setdefault(tier.name, tier)

    def replace(self, tiers: Iterable[Tier]) -> None:
        """Other promises from now on. Tiers that are not named any more keep weight 1."""
        kept = {name: Tier(name) for name in self.tiers}
        self.tiers = kept | {tier.name: tier for tier in tiers}
        self._known.clear()


def fill(tiers: Sequence[Tier]) -> dict[str, float]:
    """Shares that add up to 1, by weight within minimum and maximum.

    Shares outside their bounds are set to them, the worse side first, and the rest is shared again. What all maxima together
    leave over is shared in their proportion: work is not refused that nobody else wants.
    """
    shares: dict[str, float] = {}
    rest = list(tiers)
    while rest:
        left = max(0.0, 1.0 - sum(shares.values()))
        weights = sum(tier.weight for tier in rest)
        plain = {tier.name: left * tier.weight / weights for tier in rest}
        bound = {tier.name: min(tier.share_max, max(tier.share_min, plain[tier.name])) for tier in rest}
        excess = sum(bound.values()) - sum(plain.values())
        if abs(excess) < WEIGHTS_EQUAL:
            shares |= bound
            break
        fixed = [tier for tier in rest if (bound[tier.name] - plain[tier.name]) * excess > 0]
        shares |= {tier.name: bound[tier.name] for tier in fixed}
        rest = [tier for tier in rest if tier not in fixed]
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()} if total else shares
