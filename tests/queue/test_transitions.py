"""The state machine of a job."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzotint.queue import transitions
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, Transition
from mezzotint.runtime.errors import JobFinished, LeaseStale, MezzotintError
from tests.queue.records import NOW, accepted, waiting

LEGAL = {
    (JobState.DEFERRED, JobState.QUEUED),
    (JobState.DEFERRED, JobState.CANCELLED),
    (JobState.DEFERRED, JobState.EXPIRED),
    (JobState.QUEUED, JobState.RUNNING),
    (JobState.QUEUED, JobState.CANCELLED),
    (JobState.QUEUED, JobState.EXPIRED),
    (JobState.RUNNING, JobState.QUEUED),
    (JobState.RUNNING, JobState.SUCCEEDED),
    (JobState.RUNNING, JobState.FAILED),
    (JobState.RUNNING, JobState.CANCELLED),
}
BROKE = Failure(FailureClass.RETRYABLE, "JOB_FAILED", "it broke")


class JobMachine(RuleBasedStateMachine):
    """Does anything to a job at any time, with right and with old tokens, and keeps a plain record of what must hold."""

    def __init__(self) -> None:
        super().__init__()
        first = self.begin()
        self.job, self.events = first.job, [first.event]
        self.tokens: list[int] = []
        self.counted = 0
        self.now = NOW

    def begin(self) -> Transition:
        """The job as it is accepted."""
        return accepted(attempts_max=3)

    def take(self, change: Callable[[], Transition], refusal: type[MezzotintError] | None) -> bool:
        """Make a change that must be refused with `refusal`, or legal if None."""
        if refusal:
            with pytest.raises(refusal):
                change()
            return False
        made = change()
        assert made.before == self.job
        assert (self.job.state, made.job.state) in LEGAL
        self.job = made.job
        self.events.append(made.event)
        return True

    def refusal(self, token: int) -> type[MezzotintError] | None:
        """How the end of a lease must be refused now."""
        if self.job.state.final:
            return JobFinished
        current = self.job.state is JobState.RUNNING and token == self.tokens[-1]
        return None if current else LeaseStale

    @rule(worker=st.sampled_from(["w1", "w2"]))
    def start(self, worker: str) -> None:
        refusal = JobFinished if self.job.state.final else None if self.job.state is JobState.QUEUED else LeaseStale
        if self.take(lambda: transitions.start(self.job, worker, self.now), refusal):
            assert self.job.token > max(self.tokens, default=0)
            self.tokens.append(self.job.token)
            self.counted += 1

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), failure_class=st.sampled_from(FailureClass), delay=st.floats(0, 60))
    def fail(self, data: st.DataObject, failure_class: FailureClass, delay: float) -> None:
        token, failure = data.draw(st.sampled_from(self.tokens)), Failure(failure_class, "JOB_FAILED", "it broke")
        change = lambda: transitions.fail(self.job, self.job.worker_id, token, failure, self.now, delay)  # noqa: E731  # short
        if self.take(change, self.refusal(token)):
            last = failure_class is FailureClass.PERMANENT or self.counted == 3
            assert self.job.state is (JobState.FAILED if last else JobState.QUEUED)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        if self.take(lambda: transitions.hand_back(self.job, self.job.worker_id, token, self.now), self.refusal(token)):
            self.counted -= 1

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        change = lambda: transitions.succeed(self.job, self.job.worker_id, token, b"x", self.now)  # noqa: E731  # short
        self.take(change, self.refusal(token))

    @rule()
    def admit(self) -> None:
        deferred = self.job.state is JobState.DEFERRED
        refusal = JobFinished if self.job.state.final else None if deferred else LeaseStale
        self.take(lambda: transitions.admit(self.job, self.now), refusal)

    @rule()
    def cancel(self) -> None:
        self.take(lambda: transitions.cancel(self.job, "enough", self.now), JobFinished if self.job.state.final else None)

    @rule()
    def expire(self) -> None:
        begun = self.job.state is JobState.RUNNING or self.job.attempt
        refusal = JobFinished if self.job.state.final else LeaseStale if begun else None
        self.take(lambda: transitions.expire(self.job, self.now), refusal)

    @invariant()
    def the_events_are_the_history(self) -> None:
        assert [event.sequence for event in self.events] == list(range(1, len(self.events) + 1))
        assert self.job.sequence == len(self.events)
        assert self.events[-1].state is self.job.state

    @invariant()
    def attempts_are_counted(self) -> None:
        assert self.job.attempt == self.counted <= 3
        assert (self.job.finished_at is not None) == self.job.state.final


class DeferredJobMachine(JobMachine):
    """The same with a job that waits for its time first."""

    def begin(self) -> Transition:
        return accepted(attempts_max=3, not_before=NOW + 60)


TestDeferredJobMachine = DeferredJobMachine.TestCase
TestDeferredJobMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def running() -> Job:
    """A job that w1 works on."""
    return transitions.start(waiting(), "w1", NOW).job


def test_another_worker_cannot_end_a_lease() -> None:
    """Ensures that the right token in the wrong hands is refused."""
    with pytest.raises(LeaseStale):
        transitions.succeed(running(), "w2", 1, b"", NOW)


def test_the_last_attempt_is_the_last() -> None:
    """Ensures that a failure that a retry might mend ends the job once its attempts are used up."""
    job = waiting(attempts_max=2)
    job = transitions.fail(transitions.start(job, "w1", NOW).job, "w1", 1, BROKE, NOW, 1.0).job
    assert job.state is JobState.QUEUED
    job = transitions.fail(transitions.start(job, "w1", NOW).job, "w1", 2, BROKE, NOW, 1.0).job
    assert (job.state, job.failure, job.finished_at) == (JobState.FAILED, BROKE, NOW)


def test_a_lost_worker_costs_no_backoff() -> None:
    """Ensures that a job whose worker vanished waits no longer than the others."""
    lost = Failure(FailureClass.WORKER_LOST, "LEASE_STALE", "gone")
    assert transitions.fail(running(), "w1", 1, lost, NOW, 60.0).job.not_before == NOW
    assert transitions.fail(running(), "w1", 1, BROKE, NOW, 60.0).job.not_before == NOW + 60.0


def test_an_expired_job_says_how_long_it_was_given() -> None:
    """Ensures that the reason is kept with the job."""
    failure = transitions.expire(waiting(start_within=90.0), NOW + 90).job.failure
    assert failure
    assert failure.reason == "JOB_EXPIRED"
    assert "90 seconds" in failure.message
