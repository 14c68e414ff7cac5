"""Requests in one line each."""

from itertools import count

from mezzotint.api.ratelimit.v1 import ratelimit_pb2 as pb

fresh = count(1)


def subject(account_id: str = "acc_a", tier: str = "free") -> pb.Subject:
    """Whom a request is about."""
    return pb.Subject(account_id=account_id, tier=tier)


def charges(**amounts: int) -> list[pb.Charge]:
    """Amounts by dimension."""
    return [pb.Charge(dimension=dimension, amount=amount) for dimension, amount in amounts.items()]


def check(*, account_id: str = "acc_a", tier: str = "free", request_id: str = "", **amounts: int) -> pb.CheckRequest:
    """A charge for good, under a fresh request id unless one is given."""
    identifier = request_id or f"req_{next(fresh)}"
    return pb.CheckRequest(request_id=identifier, subject=subject(account_id, tier), charges=charges(**amounts))


def reserve(
    *, account_id: str = "acc_a", tier: str = "free", request_id: str = "", hold: int = 0, **amounts: int
) -> pb.ReserveRequest:
    """A reservation, under a fresh request id unless one is given."""
    identifier = request_id or f"req_{next(fresh)}"
    request = pb.ReserveRequest(request_id=identifier, subject=subject(account_id, tier), charges=charges(**amounts))
    if hold:
        request.hold.seconds = hold
    return request


def commit(reservation_id: str, *, account_id: str = "acc_a", tier: str = "free", **amounts: int) -> pb.CommitRequest:
    """A settlement."""
    return pb.CommitRequest(reservation_id=reservation_id, subject=subject(account_id, tier), charges=charges(**amounts))
