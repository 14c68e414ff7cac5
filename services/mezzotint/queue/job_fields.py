"""Records as protobuf takes them inside a larger message: dictionaries of fields, so that no message of their own is copied.

Annotated as Any: the stubs know only of messages, the runtime takes both.
"""

from functools import lru_cache
from typing import Any

from mezzotint.queue.job import Failure, Job


def fields_of(job: Job) -> Any:
    """A job; fields that say nothing are left out."""
    fields: dict[str, Any] = {
        "job_id": job.job_id,
        "account_id": job.account_id,
        "tier": job.tier,
        "kind": job.kind,
        "state": job.state,
        "attempt": job.attempt,
        "cost_ms": job.cost_ms,
        "created_at": moment_fields(job.created_at),
        "last_sequence": job.sequence,
    }
    if job.started_at is not None:
        fields["started_at"] = moment_fields(job.started_at)
    if job.finished_at is not None:
        fields["finished_at"] = moment_fields(job.finished_at)
    if job.failure:
        fields["failure"] = failure_fields(job.failure)
    if job.labels:
        fields["labels"] = dict(job.labels)
    if job.not_before:
        fields["not_before"] = moment_fields(job.not_before)
    if job.redriven_by:
        fields["redriven_by"] = job.redriven_by
    return fields


def failure_fields(failure: Failure) -> Any:
    """A failure."""
    return {"failure_class": failure.failure_class, "reason": failure.reason, "message": failure.message}


@lru_cache(maxsize=16)
def moment_fields(moment: float) -> Any:
    """Seconds since the epoch as a Timestamp, to the microsecond. Jobs that came in one message have the same moments."""
    seconds, microseconds = divmod(round(moment * 1e6), 1_000_000)
    return {"seconds": seconds, "nanos": microseconds * 1000}
