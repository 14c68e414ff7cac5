"""The state machine of a job: one function a change, each giving the new record and its event, or raising why not.

Pure: time, ids and randomness come in as arguments. docs/state-machines.md draws it.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from mezzotint.queue.job import Failure, FailureClass, Job, JobEvent, JobState, NewJob, Transition
from mezzotint.runtime.errors import JobFinished, LeaseStale


def accept(new: NewJob, job_id: str, now: float, deferral: str = "") -> Transition:
    """A new job: QUEUED, or DEFERRED until its not-before time or for the reason `deferral`."""
    early = new.not_before > now
    reason = f"it does not start before {_utc(new.not_before)}" if early else deferral
    state = JobState.DEFERRED if reason else JobState.QUEUED
    job = Job(
        number=0,
        job_id=job_id,
        account_id=new.account_id,
        tier=new.tier,
        kind=new.kind,
        cost_ms=new.cost_ms,
        attempts_max=new.attempts_max,
        created_at=now,
        expires_at=max(now, new.not_before) + new.start_within,
        state=state,
        sequence=1,
        not_before=new.not_before if early else 0.0,
        labels=new.labels,
    )
    failure = Failure(FailureClass.RETRYABLE, "", reason) if reason else None
    return Transition(None, job, JobEvent(1, now, state, failure=failure))


def admit(job: Job, now: float) -> Transition:
    """DEFERRED → QUEUED: what it waited for has come. Raises JobFinished, LeaseStale when it is not deferred any more."""
    _require_open(job)
    if job.state is not JobState.DEFERRED:
        raise LeaseStale(f"job {job.job_id} is not deferred")
    return _change(job, JobState.QUEUED, now, {})


def start(job: Job, worker_id: str, now: float) -> Transition:
    """QUEUED → RUNNING: a worker gets a lease with the next fencing token. Raises JobFinished, LeaseStale when it is taken."""
    _require_open(job)
    if job.state is not JobState.QUEUED:
        raise LeaseStale(f"job {job.job_id} is held by another worker")
    assert job.attempt < job.attempts_max, f"{job.job_id} has no attempt left and should be final"
    attempt = job.attempt + 1
    event = {"attempt": attempt, "worker_id": worker_id}
    return _change(job, JobState.RUNNING, now, event, token=job.token + 1, started_at=now, not_before=0.0, **event)


def succeed(job: Job, worker_id: str, token: int, result: bytes, now: float, cost_ms: int | None = None) -> Transition:
    """RUNNING → SUCCEEDED, at a cost of `cost_ms`. Raises JobFinished, LeaseStale."""
    _require_lease(job, worker_id, token)
    done = _change(job, JobState.SUCCEEDED, now, {"attempt": job.attempt, "result": result}, finished_at=now)
    return replace(done, cost_ms=cost_ms)


def fail(job: Job, worker_id: str, token: int, failure: Failure, now: float, delay: float) -> Transition:
    """RUNNING → QUEUED in `delay` seconds, or FAILED when no retry mends it or no attempt is left.

    A lost worker's job is tried again at once: nothing says that the job was at fault. Raises JobFinished, LeaseStale.
    """
    _require_lease(job, worker_id, token)
    event = {"attempt": job.attempt, "failure": failure}
    if failure.failure_class is FailureClass.PERMANENT or job.attempt >= job.attempts_max:
        return _change(job, JobState.FAILED, now, event, finished_at=now, failure=failure)
    wait = 0.0 if failure.failure_class is FailureClass.WORKER_LOST else delay
    return _change(job, JobState.QUEUED, now, event, not_before=now + wait, worker_id="")


def hand_back(job: Job, worker_id: str, token: int, now: float) -> Transition:
    """RUNNING → QUEUED as if the attempt had not been; the token stays used. Raises JobFinished, LeaseStale."""
    _require_lease(job, worker_id, token)
    started_at = job.started_at if job.attempt > 1 else None
    back = _change(job, JobState.QUEUED, now, {}, attempt=job.attempt - 1, worker_id="", started_at=started_at)
    return replace(back, cost_ms=0)


def cancel(job: Job, reason: str, now: float) -> Transition:
    """Any state but a final one → CANCELLED. Raises JobFinished."""
    _require_open(job)
    failure = Failure(FailureClass.PERMANENT, "CANCELLED", reason)
    return _change(job, JobState.CANCELLED, now, {"attempt": job.attempt, "failure": failure}, finished_at=now, failure=failure)


def expire(job: Job, now: float) -> Transition:
    """QUEUED or DEFERRED, never begun and too late → EXPIRED. Raises JobFinished, LeaseStale when an attempt has begun."""
    _require_open(job)
    if job.state is JobState.RUNNING or job.attempt > 0:
        raise LeaseStale(f"job {job.job_id} has begun")
    given = job.expires_at - max(job.created_at, job.not_before)
    failure = Failure(FailureClass.PERMANENT, "JOB_EXPIRED", f"it did not start within the {given:g} seconds it was given")
    return _change(job, JobState.EXPIRED, now, {"failure": failure}, finished_at=now, failure=failure)


def _change(job: Job, state: JobState, now: float, event: dict[str, Any], **fields: Any) -> Transition:
    """The transition of `job` to `state` with `fields` changed; its event is the next in sequence."""
    sequence = job.sequence + 1
    after = replace(job, state=state, sequence=sequence, **fields)
    return Transition(job, after, JobEvent(sequence, now, state, **event))


def _utc(moment: float) -> str:
    """A moment for people, to the second."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _require_open(job: Job) -> None:
    """Raise JobFinished when nothing can happen to the job any more."""
    if job.state.final:
        raise JobFinished(f"job {job.job_id} is {job.state.name.lower()} and cannot change any more")


def _require_lease(job: Job, worker_id: str, token: int) -> None:
    """Raise unless `worker_id` holds the job's current lease, named by its fencing token."""
    _require_open(job)
    if job.state is not JobState.RUNNING or job.token != token or job.worker_id != worker_id:
        raise LeaseStale(f"the lease {token} of job {job.job_id} is over; drop the job")
