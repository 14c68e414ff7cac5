"""Which limits apply to whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from mezzotint.ratelimit.limit import Limit
from mezzotint.runtime.errors import TierUnknown


@dataclass(frozen=True)
class Policy:
    """The limits file, read: for each tier its own limits and everybody's, in the order of the file."""

    tiers: Mapping[str, tuple[Limit, ...]]

    def limits_of(self, tier: str) -> tuple[Limit, ...]:
        """The limits of an account in `tier`. Raises TierUnknown."""
        found = self.tiers.get(tier)
        if found is None:
            names = ", ".join(self.tiers)
            raise TierUnknown(f"no tier {tier!r}; the limits file has {names}", metadata={"tiers": names})
        return found

    def limits(self) -> Mapping[str, Limit]:
        """Every limit by name."""
        return {limit.name: limit for limits in self.tiers.values() for limit in limits}
