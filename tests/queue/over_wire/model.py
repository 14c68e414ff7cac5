"""What the queue must answer: every job with its history in dictionaries, the leases, and what time does to both.

Which of several jobs that could start is started is the queue's affair; everything else is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.job import Failure, FailureClass, Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.lease_endings import LOST
from tests.support.clock import ManualClock

WORKER = "w1"
LEASE_SECONDS = 30.0
GRACE_SECONDS = 20.0
# The pause after the first attempt; half of it at least, and twice as long after the second.
BACKOFF_SECONDS = 0.4
BROKE = Failure(FailureClass.RETRYABLE, "JOB_FAILED", "it broke")
Ref = tuple[str, int]


@dataclass
class Lease:
    """A lease of the one worker. `seen`: it has named it, so that not to name it means to have lost it."""

    token: int
    expires_at: float
    seen: bool = False


class Model:
    """The queue as its contract has it, with one worker, and tiers that nothing is promised of."""

    def __init__(self, clock: ManualClock) -> None:
        self.jobs: dict[str, Job] = {}
        self.events: dict[str, list[JobEvent]] = {}
        self.payloads: dict[str, bytes] = {}
        self.requests: dict[tuple[str, str], tuple[str, NewJob]] = {}
        self.paused: set[str] = set()
        self.leases: dict[str, Lease] = {}
        self.over: list[Ref] = []
        """Leases that the worker once held."""
        self.connected = False
        self.silent = False
        """The worker let a lease run out and was not heard since: it gets nothing."""
        self.credits = 0
        self._clock = clock

    def earlier(self, new: NewJob) -> tuple[Job, bool] | None:
        """The job that an earlier request with this id made, and whether it asked for the same."""
        job_id, first = self.requests.get((new.account_id, new.request_id), ("", new))
        return (self.jobs[job_id], first == new) if job_id else None

    def asked(self, tier: str, states: Collection[JobState], labels: Mapping[str, str]) -> list[Job]:
        """The jobs of a tier ("": any), of states (none: any), that have all of these labels; the oldest first."""
        jobs = [job for job in self.jobs.values() if tier in ("", job.tier) and (not states or job.state in states)]
        return [job for job in jobs if labels.items() <= dict(job.labels).items()]

    def accept(self, new: NewJob, job_id: str) -> Job:
        """A new job, under the id that the queue gave it."""
        accepted = transitions.accept(new, job_id, self._clock.now())
        self.jobs[job_id] = replace(accepted.job, number=len(self.jobs) + 1)
        self.events[job_id] = [accepted.event]
        self.payloads[job_id] = new.payload
        self.requests[new.account_id, new.request_id] = (job_id, new)
        return self.jobs[job_id]

    def dead(self, tier: str = "", reason: str = "") -> list[Job]:
        """The failed jobs of a tier and reason, "" for any, that were not redriven; the oldest first."""
        failed = (job for job in self.jobs.values() if job.failure and job.state is JobState.FAILED and not job.redriven_by)
        return [job for job in failed if tier in ("", job.tier) and job.failure and reason in ("", job.failure.reason)]

    def redrive(self, dead: Job, new: NewJob, job_id: str) -> None:
        """A dead job's work is done again by a new one, under the id that the queue gave it."""
        self.accept(new, job_id)
        self.jobs[dead.job_id] = replace(dead, redriven_by=job_id)

    def apply(self, change: Transition) -> Job:
        """A job goes on; a lease begins or ends with it."""
        before, job = change.before, change.job
        assert self.jobs[job.job_id] == before
        self.jobs[job.job_id] = job
        self.events[job.job_id].append(change.event)
        if job.state is JobState.RUNNING:
            self.credits -= 1
            self.leases[job.job_id] = Lease(job.token, self._clock.monotonic() + LEASE_SECONDS)
        elif before and before.state is JobState.RUNNING:
            del self.leases[job.job_id]
            self.over.append((job.job_id, job.token))
        return job

    def ready(self) -> set[str]:
        """The jobs that a worker could be given."""
        now = self._clock.now()
        return {
            job.job_id
            for job in self.jobs.values()
            if job.state is JobState.QUEUED and job.not_before <= now and job.tier not in self.paused
        }

    def due(self) -> int:
        """How many leases the worker must get now."""
        return min(self.credits, len(self.ready())) if self.connected and not self.silent else 0

    def beat(self, left_out: str = "") -> None:
        """The worker names all that it holds but for one job, which is lost if it was named before."""
        self.silent = False
        for job_id, lease in list(self.leases.items()):
            if job_id != left_out:
                lease.expires_at, lease.seen = self._clock.monotonic() + LEASE_SECONDS, True
            elif lease.seen:
                self.lose(job_id)

    def join(self, held: set[str]) -> list[Ref]:
        """The worker is back and holds the leases of these jobs: gives those that it keeps. The others are lost."""
        self.connected, self.credits = True, 0
        for job_id in sorted(self.leases.keys() - held):
            self.lose(job_id)
        self.beat()
        return [(job_id, lease.token) for job_id, lease in sorted(self.leases.items())]

    def leave(self) -> None:
        """The worker's stream broke, or the queue was restarted: its leases live on for the grace."""
        self.connected, self.silent, self.credits = False, False, 0
        for lease in self.leases.values():
            lease.expires_at, lease.seen = self._clock.monotonic() + GRACE_SECONDS, True

    def lose(self, job_id: str) -> None:
        """The worker has lost a job."""
        job = self.jobs[job_id]
        self.apply(transitions.fail(job, WORKER, job.token, LOST, self._clock.now(), 0.0))

    def pass_time(self) -> list[Ref]:
        """What the moment brings: leases that end, which are given, jobs whose time has come, and jobs that are too late."""
        now, ended = self._clock.now(), []
        for job_id, lease in sorted(self.leases.items()):
            if lease.expires_at <= self._clock.monotonic():
                ended.append((job_id, lease.token))
                self.silent = self.connected
                self.lose(job_id)
        for job in list(self.jobs.values()):
            if job.state is JobState.DEFERRED and job.not_before <= now:
                self.apply(transitions.admit(job, now))
            elif job.state in (JobState.QUEUED, JobState.DEFERRED) and not job.attempt and job.expires_at <= now:
                self.apply(transitions.expire(job, now))
        return ended

    def settlement(self, job_id: str, token: int) -> str:
        """Why the completion of a lease that is over is refused; "" when it was kept before and is accepted again."""
        job = self.jobs[job_id]
        if job.state is JobState.SUCCEEDED and job.token == token:
            return ""
        return "JOB_FINISHED" if job.state.final else "LEASE_STALE"
