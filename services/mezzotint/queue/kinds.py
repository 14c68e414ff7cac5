"""The jobs that wait, by kind: ready ones, deferred ones, and how fast they are handed out. Pure."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from mezzotint.queue.aging import recorded_since
from mezzotint.queue.eta import Forecast
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.rates import GrantRate
from mezzotint.queue.running import Running
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.sideline import Sidelines
from mezzotint.queue.tiers import Policy

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

    def __init__(self, policy: Policy, running: Running, since: Callable[[Job], float]) -> None:
        self.scheduler = Scheduler(policy.tiers, running, since)
        self.sidelines = Sidelines(policy, running, since)
        self._rate = GrantRate()
        self._forecast = Forecast()
        self._granted_ms = self._grants = 0
        self._sample_at = 0.0

    def add(self, job: Job, at: float, *, front: bool = False) -> None:
        """A job begins to wait in its state, QUEUED or DEFERRED."""
        if self.sidelines.loans:
            self.sidelines.settle(job)
        if job.state is JobState.DEFERRED:
            self.sidelines.of(job.tier).add(job, front=front)
        else:
            self.scheduler.add(job, front=front)
        if at >= self._sample_at and not front:
            self._sample(job, at)

    def discard(self, job: Job, *, for_good: bool = True) -> bool:
        """A job waits no more; False when it did not. Not `for_good`: what was expected of it still holds."""
        if for_good:
            self.sidelines.settle(job)
            self._forecast.forget(job.job_id)
        if job.state is JobState.DEFERRED:
            return self.sidelines.of(job.tier).discard(job)
        return self.scheduler.discard(job)

    def pick(self, moment: Moment, tiers: Collection[str] | None = None) -> Job | None:
        """The next job, of these tiers or of any, from now on under way; None when none may be started."""
        job = self.scheduler.pick(moment.at, tiers)
        if job:
            self._granted_ms += job.cost_ms
            self._grants += 1
            self._forecast.start(job.job_id, moment.at)
        return job

    def admit(self, moment: Moment, pace: float) -> list[Job]:
        """The jobs that are deferred no longer; `pace` in multiples of the floor rate."""
        rate = self._rate.per_second(moment.at) or CAPACITY_UNMEASURED
        return self.sidelines.admit(moment.at, rate * pace, self.scheduler.lines.paused)

    def deferred(self) -> list[str]:
        """The tiers with deferred jobs that could begin now."""
        paused = self.scheduler.lines.paused
        return [name for name, line in self.sidelines.by_tier.items() if line.ready and name not in paused]

    def replace(self, policy: Policy) -> None:
        """Other promises from now on."""
        self.scheduler.replace(policy.tiers)
        self.sidelines.replace(policy)

    def observe(self, at: float, *, served: bool) -> None:
        """After a round of picks: what is ready has to wait for the workers, if this kind is `served` by any."""
        backlog = served and self.scheduler.ready
        self._rate.observe(at, backlog=backlog, cost_ms=self._granted_ms, grants=self._grants)
        self._granted_ms = self._grants = 0

    def place(self, job: Job, at: float, pace: float = 1.0) -> Place | None:
        """Where a job stands; None when it does not wait here."""
        if job.state is JobState.DEFERRED:
            before = self.sidelines.of(job.tier).before(job)
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

    def _sample(self, job: Job, at: float) -> None:
        """Remember what is expected of a job, to be compared with what comes; the next one's turn is in a while."""
        self._sample_at = at + SAMPLE_SECONDS
        plain = self._plain(job, at)
        if plain is not None:
            self._forecast.expect(job.job_id, _line(job), at, plain, self._rate.pause())

    def _plain(self, job: Job, at: float, pace: float = 1.0) -> float | None:
        """Seconds of work ahead at the measured rate; None while that says nothing of the job."""
        rate = self._rate.per_second(at)
        if rate is None:
            return None
        share = self.scheduler.outlook.share(job.tier, rate)
        if job.state is not JobState.DEFERRED:
            ahead = self.scheduler.outlook.ahead(job)
            return None if ahead is None or ahead.held_up else ahead.own_ms / (rate * share)
        before = self.sidelines.of(job.tier).before(job)
        if before is None or job.tier in self.scheduler.lines.paused:
            return None
        queued_ms = self.scheduler.outlook.cost_ms(job.tier)
        return (before[1] + queued_ms) / min(share * rate, self.sidelines.rate(job.tier, rate * pace))


class Kinds:
    """Every kind that a job has been of, each with the policy and the pauses that are in force.

    `since` tells when a job began to wait, on the steady clock.
    """

    def __init__(self, policy: Policy, since: Callable[[Job], float] = recorded_since) -> None:
        self._policy = policy
        self._running = Running()
        self._since = since
        self._paused: frozenset[str] = frozenset()
        self.by_name: dict[str, Kind] = {}

    def of(self, name: str) -> Kind:
        """A kind, made when it is needed."""
        kind = self.by_name.get(name)
        if kind is None:
            kind = self.by_name[name] = Kind(self._policy, self._running, self._since)
            kind.scheduler.pause(self._paused)
        return kind

    @property
    def paused(self) -> frozenset[str]:
        """The tiers whose jobs are not picked for now."""
        return self._paused

    def others_wait(self, tiers: Collection[str], served: Collection[str]) -> bool:
        """Jobs of other tiers than these, of the `served` kinds, wait to be picked, and for nothing else."""
        lines = (kind.scheduler.lines for name, kind in self.by_name.items() if name in served)
        return any(tier not in tiers for each in lines for tier in each.ready())

    def deferred(self, tier: str, kind: str) -> bool:
        """Deferred jobs of the tier and kind wait."""
        found = self.by_name.get(kind)
        return bool(found and found.sidelines.by_tier.get(tier))

    def give_way(self, tiers: frozenset[str]) -> None:
        """From now on exactly these tiers get their minimum share and what the others leave, and no more."""
        for kind in self.by_name.values():
            kind.scheduler.give_way(tiers)

    def pause(self, tiers: frozenset[str]) -> None:
        """The jobs of exactly these tiers are not picked from now on."""
        self._paused = tiers
        for kind in self.by_name.values():
            kind.scheduler.pause(tiers)

    def replace(self, policy: Policy) -> None:
        """Another policy is in force from now on, for jobs that wait as well."""
        self._policy = policy
        for kind in self.by_name.values():
            kind.replace(policy)

    def aged(self) -> Counter[str]:
        """By tier, the starts and admissions that were moved up because an account had waited for too long."""
        found: Counter[str] = Counter()
        for kind in self.by_name.values():
            found.update(kind.scheduler.lines.aged())
            found.update(kind.sidelines.aged())
        return found


def _line(job: Job) -> str:
    return f"{job.tier}/{job.state.name}"
