"""The deferred jobs of one kind, admitted at a given rate, in an order fair to the accounts of each tier. Pure."""

from collections.abc import Callable, Collection

from mezzotint.queue.aging import recorded_since
from mezzotint.queue.job import Job
from mezzotint.queue.running import Running
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Policy, Tier

# A pause in which nothing is admitted is made up for so long at most.
BURST_SECONDS = 1.0


class Sideline:
    """One tier's, with a bucket of tokens in milliseconds of work: jobs are admitted while it has any, the last on credit.

    Accounts with as many jobs under way as they may have come last: what is admitted of them could not begin.
    """

    def __init__(self, tier: Tier, running: Running | None = None, since: Callable[[Job], float] = recorded_since) -> None:
        self._line = TierLine(tier, running, since)
        self._tokens = 0.0
        self._at: float | None = None

    def __len__(self) -> int:
        return len(self._line)

    @property
    def ready(self) -> bool:
        """A job that could begin is deferred."""
        return self._line.ready

    @property
    def aged(self) -> int:
        """Admissions moved up because their account had waited for too long."""
        return self._line.aged

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job is deferred."""
        self._line.add(job, front=front)

    def discard(self, job: Job) -> bool:
        """A job is not deferred any more; False when it was not."""
        return self._line.discard(job)

    def replace(self, tier: Tier) -> None:
        """The tier promises something else from now on."""
        self._line.replace(tier)

    def admit(self, at: float, rate: float) -> list[Job]:
        """The jobs deferred no longer at `at`; `rate` in ms of work a second since."""
        if self._at is not None:
            self._tokens = min(self._tokens + rate * (at - self._at), rate * BURST_SECONDS)
        self._at = at
        admitted: list[Job] = []
        while self._tokens >= 0 and len(self._line):
            job = self.next(at)
            self._tokens -= job.cost_ms
            admitted.append(job)
        return admitted

    def next(self, at: float) -> Job:
        """The job whose turn it is, deferred no longer, whatever the pace; there must be one."""
        job = self._line.pop(at)
        self._line.release(job, job.cost_ms)
        return job

    def before(self, job: Job) -> tuple[int, int] | None:
        """The deferred jobs expected to be admitted before this one and their work in ms; None when it is not deferred."""
        return self._line.before(job)


class Sidelines:
    """One sideline a tier, made when it is needed, and the pace at which each is emptied."""

    def __init__(self, policy: Policy, running: Running, since: Callable[[Job], float]) -> None:
        self._tiers = {tier.name: tier for tier in policy.tiers}
        self._running = running
        self._since = since
        self.by_tier: dict[str, Sideline] = {}
        self.loans: set[str] = set()
        """Jobs that were lent capacity and are neither queued yet nor deferred again; each counts as under way."""

    def of(self, tier: str) -> Sideline:
        """The sideline of a tier."""
        sideline = self.by_tier.get(tier)
        if sideline is None:
            sideline = self.by_tier[tier] = Sideline(self._tier(tier), self._running, self._since)
        return sideline

    def admit(self, at: float, full_rate: float, paused: Collection[str]) -> list[Job]:
        """The jobs deferred no longer, none of `paused` tiers; `full_rate` as in `rate`."""
        admitted: list[Job] = []
        for tier, sideline in self.by_tier.items():
            if tier not in paused:
                admitted += sideline.admit(at, self.rate(tier, full_rate))
        return admitted

    def lend(self, tier: str, at: float) -> Job | None:
        """The job of the tier whose turn it is, deferred no longer, whatever the pace; None when there is none to begin."""
        line = self.of(tier)
        if not line.ready:
            return None
        job = line.next(at)
        self.loans.add(job.job_id)
        self._running.add(job.account_id)
        return job

    def settle(self, job: Job) -> None:
        """A job is queued, deferred or gone; nothing happens if it was not lent anything."""
        if job.job_id in self.loans:
            self.loans.discard(job.job_id)
            self._running.remove(job.account_id)

    def rate(self, tier: str, full_rate: float) -> float:
        """Work of the tier to admit, in ms a second: its floor's part of `full_rate`, or all when it is deferred no longer."""
        promise = self._tier(tier)
        return full_rate * (promise.share_min if promise.deferrable else 1.0)

    def replace(self, policy: Policy) -> None:
        """Other promises from now on."""
        self._tiers = {tier.name: tier for tier in policy.tiers}
        for name, sideline in self.by_tier.items():
            sideline.replace(self._tier(name))

    def aged(self) -> dict[str, int]:
        """By tier, the admissions that were moved up because their account had waited for too long."""
        return {name: sideline.aged for name, sideline in self.by_tier.items()}

    def _tier(self, name: str) -> Tier:
        return self._tiers.get(name) or Tier(name)
