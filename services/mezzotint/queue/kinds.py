"""The jobs of one kind that wait: ready ones, deferred ones, and how fast they are handed out. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mezzotint.queue.eta import Forecast
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.rates import GrantRate
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.sideline import Sideline
from mezzotint.queue.tiers import Policy, Tier

# Taken for the capacity before one is measured: one device, in ms of work a second.
CAPACITY_UNMEASURED = 1000.0
# What is expected of a job is remembered this often at most, to be compared with what came.
SAMPLE_SECONDS = 0.1


class Moment(NamedTuple):
    """A moment on both clocks: `now` in seconds since the epoch, `at` on the steady clock."""

    now: float
    at: float


@dataclass(frozen=True, slots=True)
class Place:
    """Jobs expected to start before one, and the seconds until it starts, in half and in nine of ten cases; None: not known."""

    position: int
    eta: float | None
    eta_p90: float | None = None


class Kind:
    """Jobs go from the sidelines to the scheduler as they are admitted, and from there to workers as they are picked."""

    def __init__(self, policy: Policy) -> None:
        self.scheduler = Scheduler(policy.tiers)
        self.sidelines: dict[str, Sideline] = {}
        self._tiers: Mapping[str, Tier] = {tier.name: tier for tier in policy.tiers}
        self._rate = GrantRate()
        self._forecast = Forecast()
        self._granted_ms = self._grants = 0
        self._sampled_at = -1.0

    def add(self, job: Job, at: float, *, front: bool = False) -> None:
        """A job begins to wait in its state, QUEUED or DEFERRED."""
        if job.state is JobState.DEFERRED:
            self._sideline(job.tier).add(job, front=front)
        else:
            self.scheduler.add(job, front=front)
        if not front and at - self._sampled_at >= SAMPLE_SECONDS and (plain := self._plain(job, at)) is not None:
            self._sampled_at = at
            self._forecast.expect(job.job_id, _line(job), at, plain, self._rate.pause())

    def discard(self, job: Job, *, for_good: bool = True) -> bool:
        """A job waits no more; False when it did not. Not `for_good`: what was expected of it still holds."""
        if for_good:
            self._forecast.forget(job.job_id)
        if job.state is JobState.DEFERRED:
            return self._sideline(job.tier).discard(job)
        return self.scheduler.discard(job)

    def pick(self, moment: Moment) -> Job | None:
        """The next job, from now on under way; None when none may be started."""
        job = self.scheduler.pick(moment.now)
        if job:
            self._granted_ms += job.cost_ms
            self._grants += 1
            self._forecast.start(job.job_id, moment.at)
        return job

    def admit(self, moment: Moment, pace: float) -> list[Job]:
        """The jobs that are deferred no longer; `pace` in multiples of the floor rate."""
        jobs: list[Job] = []
        for tier, sideline in self.sidelines.items():
            if tier not in self.scheduler.lines.paused:
                jobs += sideline.admit(*moment, self._admission_rate(tier, moment.at, pace))
        return jobs

    def replace(self, policy: Policy) -> None:
        """Other promises from now on."""
        self._tiers = {tier.name: tier for tier in policy.tiers}
        self.scheduler.replace(policy.tiers)
        for name, sideline in self.sidelines.items():
            sideline.replace(self._tier(name))

    def observe(self, at: float, *, served: bool) -> None:
        """After a round of picks: what is ready has to wait for the workers, if this kind is `served` by any."""
        backlog = served and self.scheduler.ready
        self._rate.observe(at, backlog=backlog, cost_ms=self._granted_ms, grants=self._grants)
        self._granted_ms = self._grants = 0

    def place(self, job: Job, at: float, pace: float = 1.0) -> Place | None:
        """Where a job stands; None when it does not wait here."""
        if job.state is JobState.DEFERRED:
            before = self._sideline(job.tier).before(job)
            position = before[0] + self.scheduler.lines.waiting().get(job.tier, 0) if before else None
        else:
            ahead = self.scheduler.outlook.ahead(job)
            position = ahead.jobs if ahead else None
        if position is None:
            return None
        plain = self._plain(job, at, pace)
        if plain is None:
            return Place(position, None)
        eta = self._forecast.eta(_line(job), plain, self._rate.pause())
        return Place(position, eta.p50, eta.p90)

    def _plain(self, job: Job, at: float, pace: float = 1.0) -> float | None:
        """Seconds of work ahead at the measured rate; None while that says nothing of the job."""
        rate = self._rate.per_second(at)
        if rate is None:
            return None
        share = self.scheduler.outlook.share(job.tier, rate)
        if job.state is not JobState.DEFERRED:
            ahead = self.scheduler.outlook.ahead(job)
            return None if ahead is None or ahead.held_up else ahead.own_ms / (rate * share)
        before = self._sideline(job.tier).before(job)
        if before is None or job.tier in self.scheduler.lines.paused:
            return None
        queued_ms = self.scheduler.outlook.cost_ms(job.tier)
        return (before[1] + queued_ms) / min(share * rate, self._admission_rate(job.tier, at, pace))

    def _admission_rate(self, name: str, at: float, pace: float) -> float:
        """Work of deferred jobs to admit, in ms a second; all that can be done when the tier is deferred no longer."""
        tier = self._tier(name)
        part = tier.share_min if tier.deferrable else 1.0
        return part * pace * (self._rate.per_second(at) or CAPACITY_UNMEASURED)

    def _tier(self, name: str) -> Tier:
        return self._tiers.get(name) or Tier(name)

    def _sideline(self, name: str) -> Sideline:
        sideline = self.sidelines.get(name)
        if sideline is None:
            sideline = self.sidelines[name] = Sideline(self._tier(name))
        return sideline


def _line(job: Job) -> str:
    return f"{job.tier}/{job.state.name}"


def aged(kinds: Iterable[Kind]) -> Counter[str]:
    """By tier, the starts and admissions that were moved up because an account had waited for too long."""
    found: Counter[str] = Counter()
    for kind in kinds:
        found.update(kind.scheduler.lines.aged())
        found.update({tier: sideline.aged for tier, sideline in kind.sidelines.items()})
    return found
