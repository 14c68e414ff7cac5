"""Sees everything that is kept and told, and holds it to the queue's invariants (I1 to I12 of the design)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mezzotint.queue.job import Job, JobState, NewJob, Transition
from tests.queue.simulation.floors import Floors

LEGAL = {
    None: {JobState.QUEUED, JobState.DEFERRED},
    JobState.DEFERRED: {JobState.QUEUED, JobState.CANCELLED, JobState.EXPIRED},
    JobState.QUEUED: {JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED},
    JobState.RUNNING: {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED},
}


class Witness:
    """What was kept, by job. `bound` is the longest that an account with work may go without a start, in seconds."""

    def __init__(self, bound: float, floors: Floors) -> None:
        self.floors = floors
        self.broken: AssertionError | None = None
        """The first invariant that did not hold, whoever was told of it."""
        self.jobs: dict[str, Job] = {}
        self.states: Counter[JobState] = Counter()
        self.waited_most = 0.0
        self.settled: dict[str, int] = {}
        self._bound = bound
        self._requests: dict[tuple[str, str], str] = {}
        self._acknowledged: set[str] = set()
        self._cancelled: dict[str, bool] = {}
        self._served: dict[tuple[str, str], float] = {}

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Remember what fails inside: the queue logs defects of its background and goes on."""
        try:
            yield
        except AssertionError as error:
            self.broken = self.broken or error
            raise

    def kept_new(self, new: NewJob, job: Job) -> None:
        """A job is on disk."""
        key = (new.account_id, new.request_id)
        assert key not in self._requests, f"I2: {key} made {self._requests[key]} already"
        self._requests[key] = job.job_id
        self.floors.entered(job)
        self._count(None, job)

    def kept(self, change: Transition) -> None:
        """A change is on disk."""
        before, job, event = change.before, change.job, change.event
        assert before
        assert self.jobs[job.job_id] == before, "I9: a change from a record that was not the latest"
        assert not before.state.final, "I7: a final job changed"
        assert job.state in LEGAL[before.state], f"{before.state.name} → {job.state.name} is not drawn"
        assert event.sequence == job.sequence == before.sequence + 1, "I9: events have no gap"
        assert event.state is job.state, "I9: events are the history of the state"
        assert job.attempt <= job.attempts_max, "I5: more attempts than allowed"
        if job.state is JobState.RUNNING:
            assert job.token == before.token + 1, "I3, I4: each lease has the next token"
            self._start(before, event.at)
        else:
            assert job.token == before.token
        self.floors.changed(change)
        self._count(before, job)

    def acknowledged(self, job: Job) -> None:
        """A caller was told that its job is accepted."""
        assert job.job_id in self.jobs, "I1: acknowledged before it was kept"
        self._acknowledged.add(job.job_id)

    def told_cancelled(self, job_id: str, done: bool) -> None:
        """A caller was told that its cancellation won, or lost."""
        self._cancelled[job_id] = self._cancelled.get(job_id, False) or done

    def told_settled(self, job_id: str, token: int, accepted: bool) -> None:
        """A worker was told what became of its completion."""
        if accepted:
            assert self.settled.setdefault(job_id, token) == token, "I4: two leases of a job were accepted"
            job = self.jobs[job_id]
            assert (job.state, job.token) == (JobState.SUCCEEDED, token), "I1: accepted before it was kept"

    def check(self, kept: dict[str, Job]) -> None:
        """Everything that was kept is there: `kept` is what a reader of the store finds."""
        assert kept == self.jobs, "I1: what was kept is what is there"
        assert self._acknowledged <= kept.keys(), "I1: an acknowledged job is gone"
        assert self.states.total() == len(kept), "I6: the states add up"
        assert Counter(job.state for job in kept.values()) == +self.states, "I6: the states add up"
        for job_id, won in self._cancelled.items():
            assert (kept[job_id].state is JobState.CANCELLED) == won, "I8: a cancellation wins or loses once"

    def _start(self, job: Job, at: float) -> None:
        """I11: an account with work was not passed over for longer than the bound."""
        key = (job.tier, job.account_id)
        if not job.attempt:
            since = max(job.created_at, job.not_before, self._served.get(key, 0.0))
            self.waited_most = max(self.waited_most, at - since)
            assert at - since <= self._bound, f"I11: {job.job_id} started {at - since:.0f} s after its account's last start"
        self._served[key] = at

    def _count(self, before: Job | None, job: Job) -> None:
        if before:
            self.states[before.state] -= 1
        self.states[job.state] += 1
        self.jobs[job.job_id] = job
