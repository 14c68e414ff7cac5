"""What goes over a worker's stream: the queue's messages in as few of the contract's as they fit, and names of leases."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.queue.job import Job
from mezzotint.queue.job_fields import fields_of
from mezzotint.queue.leases import LeaseRef
from mezzotint.queue.worker import Leased, Message, Settlement, Withdrawn

# A message with leases is closed when its payloads come to this; one may be 64 KiB.
LEASES_BYTES_MAX = 1024 * 1024
# Room for everything of a lease but its payload.
LEASE_BYTES = 512


def encode(messages: Sequence[Message]) -> Iterator[work_pb2.WorkResponse]:
    """Messages for the worker in their order; those of a kind that follow each other share one of the contract's."""
    for (kind, urgent), group in groupby(messages, lambda each: (type(each), isinstance(each, Leased) and each.urgent)):
        if kind is Leased:
            jobs = chain.from_iterable(each.jobs for each in group if isinstance(each, Leased))
            yield from encode_leases(jobs, urgent=urgent)
        elif kind is Settlement:
            settlements = [settlement_fields(each) for each in group if isinstance(each, Settlement)]
            yield work_pb2.WorkResponse(settled=work_pb2.Settled(settlements=settlements))
        else:
            yield from map(encode_order, group)


def encode_order(message: Message) -> work_pb2.WorkResponse:
    """The worker is to stop with one job, or with all."""
    if isinstance(message, Withdrawn):
        return work_pb2.WorkResponse(cancel=work_pb2.CancelLease(lease=ref_message(message.ref), reason=message.reason))
    return work_pb2.WorkResponse(drain=work_pb2.Drain())


def encode_leases(jobs: Iterable[tuple[Job, bytes]], *, urgent: bool = False) -> Iterator[work_pb2.WorkResponse]:
    """Leases with their payloads, no message much larger than LEASES_BYTES_MAX."""
    response, size = work_pb2.WorkResponse(), 0
    for job, payload in jobs:
        if size and size + len(payload) > LEASES_BYTES_MAX:
            yield response
            response, size = work_pb2.WorkResponse(), 0
        ref = _ref_fields(job.job_id, job.token)
        response.leases.leases.add(ref=ref, job=fields_of(job), payload=payload, urgent=urgent)
        size += len(payload) + LEASE_BYTES
    yield response


def settlement_fields(settlement: Settlement) -> Any:
    """What became of the end of a lease."""
    ref = settlement.ref
    return {"lease": _ref_fields(ref.job_id, ref.token), "accepted": settlement.accepted, "reason": settlement.reason}


def ref_of(message: work_pb2.LeaseRef) -> LeaseRef:
    """A lease's name."""
    return LeaseRef(message.job_id, message.fencing_token)


def ref_message(ref: LeaseRef) -> work_pb2.LeaseRef:
    """A lease's name as a message."""
    return work_pb2.LeaseRef(**_ref_fields(ref.job_id, ref.token))


def _ref_fields(job_id: str, token: int) -> Any:
    """A lease's name as fields."""
    return {"job_id": job_id, "fencing_token": token}
