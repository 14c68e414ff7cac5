"""The deferred jobs of one kind, admitted at a given rate, in an order fair to the accounts of each tier. Pure."""

from collections.abc import Collection
from dataclasses import replace

from mezzotint.queue.job import Job
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Policy, Tier

# A pause in which nothing is admitted is made up for so long at most.
BURST_SECONDS = 1.0


class Sideline:
    """One tier's, with a bucket of tokens in milliseconds of work: jobs are admitted while it has any, the last on credit."""

    def __init__(self, tier: Tier) -> None:
        self._line = TierLine(_unlimited(tier))
        self._tokens = 0.0
        self._at: float | None = None

    def __len__(self) -> int:
        return len(self._line)

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
        self._line.replace(_unlimited(tier))

    def admit(self, now: float, at: float, rate: float) -> list[Job]:
        """The jobs deferred no longer, at wall time `now` and monotonic time `at`; `rate` in ms of work a second since."""
        if self._at is not None:
            self._tokens = min(self._tokens + rate * (at - self._at), rate * BURST_SECONDS)
        self._at = at
        admitted: list[Job] = []
        while self._tokens >= 0 and len(self._line):
            job = self.next(now)
            self._tokens -= job.cost_ms
            admitted.append(job)
        return admitted

    def next(self, now: float) -> Job:
        """The job whose turn it is, deferred no longer, whatever the pace; there must be one."""
        job = self._line.pop(now)
        self._line.release(job, job.cost_ms)
        return job

    def before(self, job: Job) -> tuple[int, int] | None:
        """The deferred jobs expected to be admitted before this one and their work in ms; None when it is not deferred."""
        return self._line.before(job)


class Sidelines:
    """One sideline a tier, made when it is needed, and the pace at which each is emptied."""

    def __init__(self, policy: Policy) -> None:
        self._tiers = {tier.name: tier for tier in policy.tiers}
        self.by_tier: dict[str, Sideline] = {}
        self.loans: set[str] = set()
        """Jobs that were lent capacity and have not begun; whoever sees one picked, or gone, takes it off."""

    def of(self, tier: str) -> Sideline:
        """The sideline of a tier."""
        sideline = self.by_tier.get(tier)
        if sideline is None:
            sideline = self.by_tier[tier] = Sideline(self._tier(tier))
        return sideline

    def admit(self, now: float, at: float, full_rate: float, paused: Collection[str]) -> list[Job]:
        """The jobs deferred no longer, none of `paused` tiers; `full_rate` as in `rate`."""
        admitted: list[Job] = []
        for tier, sideline in self.by_tier.items():
            if tier not in paused:
                admitted += sideline.admit(now, at, self.rate(tier, full_rate))
        return admitted

    def lend(self, tier: str, now: float) -> Job | None:
        """The job of the tier whose turn it is, deferred no longer, whatever the pace; None when there is none."""
        line = self.of(tier)
        if not line:
            return None
        job = line.next(now)
        self.loans.add(job.job_id)
        return job

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


def _unlimited(tier: Tier) -> Tier:
    """How many jobs of an account may run says nothing of how many are admitted."""
    return replace(tier, account_running_max=None)
