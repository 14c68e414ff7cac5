"""Parts of the contract's messages in the model's words."""

from __future__ import annotations

from typing import Any

import grpc

from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.queue.job import Job
from tests.queue.over_wire.model import Ref


async def until_it_ends(stream: Any) -> None:
    """Read what a stream still has, to the error that ends it."""
    while await stream.read() is not grpc.aio.EOF:
        pass


def moved(last: job_pb2.JobEvent, event: job_pb2.JobEvent) -> bool:
    """An event only tells of a new place of the job, which waits since the last one."""
    waits = event.WhichOneof("event") in ("queued", "deferred")
    return waits and (event.sequence, event.WhichOneof("event")) == (last.sequence, last.WhichOneof("event"))


def plain(event: job_pb2.JobEvent) -> job_pb2.JobEvent:
    """An event without what it says of places in the queue."""
    copy = job_pb2.JobEvent()
    copy.CopyFrom(event)
    for part, fields in ((copy.queued, ("position", "eta", "eta_p90")), (copy.deferred, ("eta", "eta_p90"))):
        if copy.WhichOneof("event") == part.DESCRIPTOR.name.lower():
            for field in fields:
                part.ClearField(field)  # type: ignore[arg-type]  # fields of two messages
    return copy


def result_of(job: Job) -> bytes:
    """What the worker sends for a job it has done."""
    return f"{job.job_id}, lease {job.token}".encode()


def ref(job: Job) -> Ref:
    """A job's latest lease."""
    return job.job_id, job.token


def name(message: work_pb2.LeaseRef) -> Ref:
    """A lease in a message."""
    return message.job_id, message.fencing_token


def ref_message(lease: Ref) -> work_pb2.LeaseRef:
    """A lease for a message."""
    return work_pb2.LeaseRef(job_id=lease[0], fencing_token=lease[1])
