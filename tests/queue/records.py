"""Jobs for tests of the pure parts."""

from typing import Any

from mezzotint.queue import transitions
from mezzotint.queue.engine import Candidate, Engine, Enqueued
from mezzotint.queue.job import Job, NewJob, Transition
from mezzotint.runtime.errors import MezzotintError

NOW = 1_767_268_800.0


def new(request_id: str = "r1", **fields: Any) -> NewJob:
    """What a caller might ask for."""
    values: dict[str, Any] = {
        "account_id": "acct_1",
        "tier": "free",
        "kind": "image.generate",
        "payload": b"a red heart",
        "cost_ms": 1000,
        "start_within": 60.0,
        "attempts_max": 3,
    }
    return NewJob(request_id, **(values | fields))


def accepted(job_id: str = "job_1", **fields: Any) -> Transition:
    """A job as it is accepted."""
    return transitions.accept(new(**fields), job_id, NOW)


def waiting(job_id: str = "job_1", **fields: Any) -> Job:
    """A job that waits."""
    return accepted(job_id, **fields).job


async def admit(engine: Engine, accepted: Transition, request: NewJob, refusal: MezzotintError | None = None) -> Enqueued:
    """What becomes of one new job in an engine. Raises the error that it is refused with."""
    (outcome,) = await engine.enqueue([Candidate(accepted, request, refusal)])
    if isinstance(outcome, MezzotintError):
        raise outcome
    return outcome
