"""Which job a worker gets next: tiers by their shares, and within a tier accounts by the work they have had.

Pure, for jobs of one kind: no clock, no randomness, no I/O. A job is added when it is ready, picked, and released when its
lease ends.
"""

from collections.abc import Sequence

from mezzotint.queue.job import Job
from mezzotint.queue.outlook import Outlook
from mezzotint.queue.shares import TierShares
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier


class Scheduler:
    """Jobs that are ready and jobs that are under way. Jobs of a tier that no policy names count as weight 1."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._shares = TierShares(tiers)
        self._lines = {tier.name: TierLine(tier) for tier in tiers}
        self.outlook = Outlook(self._lines, self._shares, self._line)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    @property
    def ready(self) -> bool:
        """A job could be picked now."""
        return bool(self._ready())

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job is ready; `front`: it was under way or waited its turn already, and goes before its account's others."""
        self._line(job.tier).add(job, front=front)

    def discard(self, job: Job) -> bool:
        """A job is not ready any more; False when it was not."""
        found = self._line(job.tier).discard(job)
        self._lend(job.tier)
        return found

    def pick(self, now: float = 0.0) -> Job | None:
        """The next job, at `now` in seconds since the epoch, from now on under way; None when none may be started."""
        ready = self._ready()
        if not ready:
            return None
        tier = self._shares.choose(ready)
        job = self._lines[tier].pop(now)
        self._shares.charge(tier, job.cost_ms, ready, now)
        self._lend(tier)
        return job

    def hold(self, job: Job) -> None:
        """A job is under way that was not picked here: a restart lies between."""
        self._line(job.tier).hold(job)

    def release(self, job: Job, cost_ms: int | None = None) -> None:
        """A job is no longer under way; tier and account pay what it cost, 0 if it was not begun, None as expected."""
        cost_ms = job.cost_ms if cost_ms is None else cost_ms
        self._line(job.tier).release(job, cost_ms)
        self._shares.correct(job.tier, cost_ms - job.cost_ms, self._ready())

    def replace(self, tiers: Sequence[Tier]) -> None:
        """Other promises from now on, for jobs that wait as well. A tier that is not named any more counts as weight 1."""
        named = {tier.name: tier for tier in tiers}
        self._shares.replace(tiers)
        for name, line in self._lines.items():
            line.replace(named.pop(name, Tier(name)))
        self._lines |= {name: TierLine(tier) for name, tier in named.items()}

    def pause(self, tiers: frozenset[str]) -> None:
        """From now on the jobs of exactly these tiers are not picked; the others get their share."""
        self.outlook.paused = tiers
        for tier in tiers & self._lines.keys():
            self._lend(tier)

    def give_way(self, tiers: frozenset[str]) -> None:
        """From now on exactly these tiers get their minimum share and what the others leave, and no more."""
        self._shares.yielding = tiers

    def waiting(self) -> dict[str, int]:
        """Jobs that wait, by tier; those of accounts that may have no more under way among them."""
        return {name: len(line) for name, line in self._lines.items()}

    def aged(self) -> dict[str, int]:
        """By tier, the starts that were moved up because their account had waited for too long."""
        return {name: line.aged for name, line in self._lines.items()}

    def _ready(self) -> list[str]:
        return [name for name, line in self._lines.items() if line.ready and name not in self.outlook.paused]

    def _lend(self, tier: str) -> None:
        """What a tier is owed that cannot use it is for the others."""
        if not self._lines[tier].ready or tier in self.outlook.paused:
            self._shares.leave(tier, self._ready())

    def _line(self, tier: str) -> TierLine:
        line = self._lines.get(tier)
        if line is None:
            line = self._lines[tier] = TierLine(Tier(tier))
            self._shares.admit(Tier(tier))
        return line
