"""Which tiers are paused, as it was acknowledged, and the changes of that which are under way."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from tests.queue.power_loss.lost import Lost


@dataclass
class PausedTiers:
    """`tiers` are paused; `changing` are being paused (True) or resumed, one change of a tier at a time."""

    tiers: set[str] = field(default_factory=set)
    changing: dict[str, bool] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """Somebody has read the change under way: it counts as acknowledged."""
    changed: Counter[str] = field(default_factory=Counter)

    def note(self, tier: str, *, paused: bool) -> None:
        """A change is asked for."""
        assert tier not in self.changing
        self.changing[tier] = paused

    def settle(self, tier: str) -> None:
        """The change of a tier was made."""
        if self.changing.pop(tier):
            self.tiers.add(tier)
        else:
            self.tiers.discard(tier)
        self.seen.discard(tier)
        self.changed[tier] += 1

    def drop(self, tier: str) -> None:
        """The change of a tier was not made."""
        if tier in self.seen:
            raise Lost(f"{tier} was read as changed to paused={self.changing[tier]} and is not")
        del self.changing[tier]

    def read(self, before: Counter[str], found: Collection[str]) -> None:
        """Somebody who began when so much had `changed` has read `found`; of a tier that changed since then it says nothing."""
        for tier in self.tiers ^ set(found):
            if before[tier] != self.changed[tier]:
                continue
            if self.changing.get(tier) is not (tier in found):
                raise Lost(f"read was that {sorted(found)} are paused, acknowledged were {sorted(self.tiers)}")
            self.seen.add(tier)

    def compare(self, found: Collection[str]) -> None:
        """Raise Lost unless exactly what was acknowledged is paused, and of each change under way all or nothing."""
        for tier in list(self.changing):
            if self.changing[tier] is (tier in found):
                self.settle(tier)
            else:
                self.drop(tier)
        if self.tiers != set(found):
            raise Lost(f"{sorted(found)} are paused, acknowledged were {sorted(self.tiers)}")
