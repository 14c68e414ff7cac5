"""The contract's messages from and to the ledger's values."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from mezzotint.api.ratelimit.v1 import ratelimit_pb2
from mezzotint.ratelimit.ledger import Reserved
from mezzotint.ratelimit.limit import NANOSECONDS, Decision, Status, Subject
from mezzotint.ratelimit.tally import Amounts
from mezzotint.runtime.errors import FieldInvalid

HOLD_SECONDS = 600


def subject_of(message: ratelimit_pb2.Subject) -> Subject:
    """Whom a request is about."""
    return Subject(message.account_id, message.tier)


def amounts_of(charges: Iterable[ratelimit_pb2.Charge]) -> Amounts:
    """Amounts by dimension. Raises FieldInvalid when a dimension comes twice."""
    amounts: dict[str, int] = {}
    for charge in charges:
        if charge.dimension in amounts:
            raise FieldInvalid.of("charges", f"the dimension {charge.dimension!r} comes twice; send one charge with the sum")
        amounts[charge.dimension] = charge.amount
    return amounts


def hold_ns_of(request: ratelimit_pb2.ReserveRequest) -> int:
    """How long a reservation is to stand."""
    return request.hold.ToNanoseconds() if request.HasField("hold") else HOLD_SECONDS * NANOSECONDS


def status_message(status: Status) -> ratelimit_pb2.LimitStatus:
    """Where one limit stands."""
    limit = status.limit
    return ratelimit_pb2.LimitStatus(
        name=limit.name,
        dimension=limit.dimension,
        limit=limit.capacity,
        remaining=status.remaining,
        reset_after=duration(status.reset_after_ns),
        retry_after=duration(status.retry_after_ns),
    )


def decision_message(decision: Decision) -> ratelimit_pb2.Decision:
    """What was decided."""
    return ratelimit_pb2.Decision(
        allowed=decision.allowed,
        limits=[status_message(status) for status in decision.statuses],
        retry_after=duration(decision.retry_after_ns),
    )


def reserve_response(reserved: Reserved) -> ratelimit_pb2.ReserveResponse:
    """The answer of a reservation."""
    response = ratelimit_pb2.ReserveResponse(decision=decision_message(reserved.decision))
    if reserved.decision.allowed:
        response.reservation_id = reserved.reservation_id
        response.expires_at.FromNanoseconds(reserved.ends_wall_ns)
    return response


def duration(nanoseconds: int | None) -> Duration | None:
    """A duration; None stays absent."""
    if nanoseconds is None:
        return None
    return Duration(seconds=nanoseconds // NANOSECONDS, nanos=nanoseconds % NANOSECONDS)
