"""The lines of all tiers, and which of them are stopped. Pure."""

from collections.abc import Callable, Collection, Sequence

from mezzotint.queue.job import Job
from mezzotint.queue.proportions import Proportions
from mezzotint.queue.running import Running
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier


class TierLines:
    """One line a tier. A tier that is met and that no policy names gets one as well, of weight 1."""

    def __init__(
        self, tiers: Sequence[Tier], proportions: Proportions, running: Running, since: Callable[[Job], float]
    ) -> None:
        self._proportions = proportions
        self._running = running
        self._since = since
        self.by_tier = {tier.name: self._line(tier) for tier in tiers}
        self.paused: frozenset[str] = frozenset()
        """Tiers whose jobs are not picked for now."""

    def of(self, tier: str) -> TierLine:
        """The line of a tier."""
        line = self.by_tier.get(tier)
        if line is None:
            line = self.by_tier[tier] = self._line(Tier(tier))
            self._proportions.admit(Tier(tier))
        return line

    def ready(self) -> list[str]:
        """The tiers of which a job could be started now."""
        return [name for name, line in self.by_tier.items() if line.ready and name not in self.paused]

    def busy(self) -> list[str]:
        """The tiers in which jobs wait, whether they could be started or not; paused ones are left out."""
        return [name for name, line in self.by_tier.items() if len(line) and name not in self.paused]

    def replace(self, tiers: Sequence[Tier]) -> None:
        """Other promises from now on, for jobs that wait as well."""
        named = {tier.name: tier for tier in tiers}
        for name, line in self.by_tier.items():
            line.replace(named.pop(name, Tier(name)))
        self.by_tier |= {name: self._line(tier) for name, tier in named.items()}

    def waiting(self) -> dict[str, int]:
        """Jobs that wait, by tier; those of accounts that may have no more under way among them."""
        return {name: len(line) for name, line in self.by_tier.items()}

    def under_way(self, tiers: Collection[str]) -> int:
        """Jobs under way in these tiers."""
        return sum(line.accounts.in_flight for name, line in self.by_tier.items() if name in tiers)

    def aged(self) -> dict[str, int]:
        """By tier, the starts that were moved up because their account had waited for too long."""
        return {name: line.aged for name, line in self.by_tier.items()}

    def _line(self, tier: Tier) -> TierLine:
        return TierLine(tier, self._running, self._since)
