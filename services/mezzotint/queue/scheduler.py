"""Which job a worker gets next: tiers by their shares, and within a tier accounts by the work they have had.

Pure, for jobs of one kind: no clock, no randomness, no I/O. A job is added when it is ready, picked, and released when its
lease ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mezzotint.queue.job import Job
from mezzotint.queue.shares import WINDOW_SECONDS, TierShares
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected to start before a job: how many jobs, and how many milliseconds of work; `own_ms` of it in its tier.

    `held_up`: it waits for jobs of its own account to end as well, or its tier is paused; how long is not known.
    """

    jobs: int
    cost_ms: float
    own_ms: int
    held_up: bool = False


class Scheduler:
    """Jobs that are ready and jobs that are under way. Jobs of a tier that no policy names count as weight 1."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._shares = TierShares(tiers)
        self._lines = {tier.name: TierLine(tier) for tier in tiers}
        self.paused: frozenset[str] = frozenset()

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
        self.paused = tiers
        for tier in tiers & self._lines.keys():
            self._lend(tier)

    def give_way(self, tiers: frozenset[str]) -> None:
        """From now on exactly these tiers get their minimum share and what the others leave, and no more."""
        self._shares.yielding = tiers

    def ahead(self, job: Job) -> Ahead | None:
        """What is expected to start before `job`; None when it is not ready.

        Exact within its tier but for costs corrected since it was added; the other tiers are taken to move on by their shares.
        """
        line = self._line(job.tier)
        own = line.before(job)
        if own is None:
            return None
        jobs, cost_ms = own
        shares = self._shares.shares({job.tier, *self._waiting()})
        total_jobs, total_cost = float(jobs), float(cost_ms)
        for name in shares.keys() - {job.tier}:
            ranks = self._lines[name].ranks
            part = min(1.0, cost_ms * shares[name] / shares[job.tier] / ranks.cost_ms) if ranks.cost_ms else 0.0
            total_jobs += part * ranks.count
            total_cost += part * ranks.cost_ms
        return Ahead(round(total_jobs), total_cost, cost_ms, job.tier in self.paused or line.held_up(job))

    def waiting(self) -> dict[str, int]:
        """Jobs that wait, by tier; those of accounts that may have no more under way among them."""
        return {name: len(line) for name, line in self._lines.items()}

    def share(self, tier: str, rate: float) -> float:
        """The part of all work, `rate` ms a second, that the tier can count on: what it is promised, or what the others leave.

        What others got over the last minute they are taken to go on asking for, whether they have work this very moment or not.
        """
        self._line(tier)
        granted = self._shares.granted()
        others = {name for name, work in granted.items() if name != tier and work > 0}
        left = 1.0 - sum(granted[name] for name in others) / WINDOW_SECONDS / rate
        return max(self._shares.shares({tier, *others, *self._waiting()})[tier], min(1.0, left))

    def cost_ms(self, tier: str) -> int:
        """The work of a tier that waits."""
        return self._line(tier).ranks.cost_ms

    def granted(self) -> dict[str, float]:
        """Work granted to each tier over the last minute or so, in milliseconds."""
        return self._shares.granted()

    def aged(self) -> dict[str, int]:
        """By tier, the starts that were moved up because their account had waited for too long."""
        return {name: line.aged for name, line in self._lines.items()}

    def _waiting(self) -> list[str]:
        return [name for name, line in self._lines.items() if len(line) and name not in self.paused]

    def _ready(self) -> list[str]:
        return [name for name, line in self._lines.items() if line.ready and name not in self.paused]

    def _lend(self, tier: str) -> None:
        """What a tier is owed that cannot use it is for the others."""
        if not self._lines[tier].ready or tier in self.paused:
            self._shares.leave(tier, self._ready())

    def _line(self, tier: str) -> TierLine:
        line = self._lines.get(tier)
        if line is None:
            line = self._lines[tier] = TierLine(Tier(tier))
            self._shares.admit(Tier(tier))
        return line
