"""Which job a worker gets next: tiers by their shares, and within a tier accounts by the work they have had.

Pure, for jobs of one kind: no clock, no randomness, no I/O. A job is added when it is ready, picked, and released when its
lease ends.
"""

from collections.abc import Callable, Collection, Sequence

from mezzotint.queue.aging import recorded_since
from mezzotint.queue.job import Job
from mezzotint.queue.outlook import Outlook
from mezzotint.queue.running import Running
from mezzotint.queue.shares import TierShares
from mezzotint.queue.tier_lines import TierLines
from mezzotint.queue.tiers import Tier


class Scheduler:
    """Jobs that are ready and jobs that are under way. Jobs of a tier that no policy names count as weight 1.

    `running` is shared by the schedulers of all kinds; `since` tells when a job began to wait, on the clock of all moments.
    """

    def __init__(
        self, tiers: Sequence[Tier], running: Running | None = None, since: Callable[[Job], float] = recorded_since
    ) -> None:
        self._shares = TierShares(tiers)
        self._running = running or Running()
        self.lines = TierLines(tiers, self._shares.proportions, self._running, since)
        """What waits, to be read; it is changed here only."""
        self.outlook = Outlook(self.lines, self._shares)

    @property
    def ready(self) -> bool:
        """A job could be picked now."""
        return bool(self.lines.ready())

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job is ready; `front`: it was under way or waited its turn already, and goes before its account's later ones."""
        self.lines.of(job.tier).add(job, front=front)

    def discard(self, job: Job) -> bool:
        """A job is not ready any more; False when it was not."""
        found = self.lines.of(job.tier).discard(job)
        self._lend(job.tier)
        return found

    def ready_in(self, tiers: Collection[str] | None) -> list[str]:
        """The tiers, of these or of all, of which a job could be picked now."""
        ready = self.lines.ready()
        return ready if tiers is None else [tier for tier in ready if tier in tiers]

    def pick(self, now: float = 0.0, tiers: Collection[str] | None = None) -> Job | None:
        """The next job, at `now` in seconds, from now on under way; None when none may be started.

        With `tiers` it is one of theirs; the others are owed all the same what it costs.
        """
        ready = self.lines.ready()
        among = ready if tiers is None else [tier for tier in ready if tier in tiers]
        if not among:
            return None
        tier = self._shares.choose(among)
        job = self.lines.of(tier).pop(now)
        self._running.add(job.account_id)
        self._shares.charge(tier, job.cost_ms, ready, now)
        self._lend(tier)
        return job

    def hold(self, job: Job) -> None:
        """A job is under way that was not picked here: a restart lies between."""
        self.lines.of(job.tier).hold(job)
        self._running.add(job.account_id)

    def release(self, job: Job, cost_ms: int | None = None, at: float = 0.0) -> None:
        """A job is under way no longer, from `at` on; tier and account pay what it cost, 0 if it was not begun."""
        cost_ms = job.cost_ms if cost_ms is None else cost_ms
        self.lines.of(job.tier).release(job, cost_ms)
        self._running.remove(job.account_id, at)
        self._shares.correct(job.tier, cost_ms - job.cost_ms, self.lines.ready())

    def replace(self, tiers: Sequence[Tier]) -> None:
        """Other promises from now on, for jobs that wait as well. A tier that is not named any more counts as weight 1."""
        self._shares.replace(tiers)
        self.lines.replace(tiers)

    def pause(self, tiers: frozenset[str]) -> None:
        """From now on the jobs of exactly these tiers are not picked; the others get their share."""
        self.lines.paused = tiers
        for tier in tiers & self.lines.by_tier.keys():
            self._lend(tier)

    def give_way(self, tiers: frozenset[str]) -> None:
        """From now on exactly these tiers get their minimum share and what the others leave, and no more."""
        self._shares.yielding = tiers

    def _lend(self, tier: str) -> None:
        """What a tier is owed that cannot use it is for the others."""
        if tier in self.lines.paused or not self.lines.of(tier).ready:
            self._shares.leave(tier, self.lines.ready())
