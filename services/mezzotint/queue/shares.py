"""Which tier is next: weighted deficit round robin between minimum and maximum shares; what is not used is lent."""

import math
from collections.abc import Collection, Iterable, Sequence

from mezzotint.queue.tiers import Tier

# Shares of granted work are measured over about this long.
WINDOW_SECONDS = 60.0
# A tier with a debt is below its floor at this part of it: the debt of a long job may take long to pay off.
INDEBTED_FLOOR = 0.5
WEIGHTS_EQUAL = 1e-12


class TierShares:
    """What each tier is owed, in milliseconds of work; the deficits add up to zero.

    Each grant is paid for by the tier that gets it and earned by all that have work, in the proportion of their shares. A tier
    that is owed something and has no work any more gives it to the others: that is the lending. One that has had too much
    keeps its debt and goes on paying it off. A tier that has had less than its minimum over the last minute goes before all
    that have had theirs.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = {tier.name: tier for tier in tiers}
        self._owed: dict[str, float] = dict.fromkeys(self._tiers, 0.0)
        self._granted: dict[str, float] = dict.fromkeys(self._tiers, 0.0)
        self._seen = 0.0
        self._shares: dict[frozenset[str], dict[str, float]] = {}
        self.yielding: frozenset[str] = frozenset()
        """Tiers that get their minimum and what the others leave, and no more."""

    def choose(self, waiting: Collection[str]) -> str:
        """The tier among `waiting`, those with work: one below its minimum, owed most, of the greater weight."""
        total = sum(self._granted.values())
        short = [name for name in waiting if self._short(name, total)]
        rest = [name for name in waiting if name not in self.yielding]
        return max(short or rest or waiting, key=lambda name: (self._owed[name], self._tiers[name].weight, name))

    def charge(self, name: str, cost_ms: float, waiting: Collection[str], now: float = 0.0) -> None:
        """`name` got work of `cost_ms` at `now`, in seconds, when `waiting` (itself among them) had work."""
        self._fade(now)
        self._granted[name] += cost_ms
        self._move(name, cost_ms, waiting)

    def correct(self, name: str, more_ms: float, waiting: Collection[str]) -> None:
        """Work that `name` was charged for cost so much more, or less, than was expected."""
        if waiting and more_ms:
            self._move(name, more_ms, waiting)

    def leave(self, name: str, waiting: Collection[str]) -> None:
        """`name` has no work any more; what it is owed goes to `waiting`, the tiers that still have."""
        surplus = max(0.0, self._owed[name])
        if surplus and waiting:
            self._owed[name] = 0.0
            self._spread(surplus, waiting)

    def shares(self, waiting: Collection[str]) -> dict[str, float]:
        """The part of all work that each of `waiting` gets: by weight, within its minimum and maximum."""
        key = frozenset(waiting)
        if key not in self._shares:
            self._shares[key] = fill([self._tiers[name] for name in sorted(key)])
        return self._shares[key]

    def admit(self, tier: Tier) -> None:
        """Know one more tier, if it is not known yet."""
        if tier.name not in self._tiers:
            self._tiers[tier.name] = tier
            self._owed[tier.name] = self._granted[tier.name] = 0.0

    def replace(self, tiers: Iterable[Tier]) -> None:
        """Other promises from now on; what the tiers are owed stays. Tiers that are not named any more keep weight 1."""
        kept = {name: Tier(name) for name in self._tiers}
        self._tiers = kept | {tier.name: tier for tier in tiers}
        self._shares.clear()
        for name in self._tiers:
            self._owed.setdefault(name, 0.0)
            self._granted.setdefault(name, 0.0)

    def owed(self) -> dict[str, float]:
        """Each tier's deficit."""
        return dict(self._owed)

    def granted(self) -> dict[str, float]:
        """The work each tier was granted over the last minute or so, in milliseconds, faded with age."""
        return dict(self._granted)

    def _short(self, name: str, total: float) -> bool:
        floor = self._tiers[name].share_min * (1.0 if self._owed[name] >= 0 else INDEBTED_FLOOR)
        return self._granted[name] < floor * total

    def _fade(self, now: float) -> None:
        """Let what was granted count less; a clock that was set back fades nothing."""
        if now > self._seen:
            fade = math.exp((self._seen - now) / WINDOW_SECONDS)
            for name in self._granted:
                self._granted[name] *= fade
        self._seen = now

    def _move(self, name: str, cost_ms: float, waiting: Collection[str]) -> None:
        """`name` pays `cost_ms`, and those with work, or with a debt, earn it."""
        earning = frozenset(waiting).union(other for other, owed in self._owed.items() if owed < 0)
        for other, share in self.shares(earning).items():
            self._owed[other] += cost_ms * share
        self._owed[name] -= cost_ms
        surplus = 0.0
        for other in (earning | {name}).difference(waiting):
            surplus += max(0.0, self._owed[other])
            self._owed[other] = min(0.0, self._owed[other])
        self._spread(surplus, waiting)

    def _spread(self, surplus: float, waiting: Collection[str]) -> None:
        if surplus:
            for other, share in self.shares(waiting).items():
                self._owed[other] += surplus * share


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
