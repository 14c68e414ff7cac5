"""What a generation costs its account: reserved before it is queued, settled when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf import duration_pb2

from mezzotint.api.ratelimit.v1 import ratelimit_pb2, ratelimit_pb2_grpc
from mezzotint.gateway.peers import Peer
from mezzotint.runtime.channel import Channel
from mezzotint.runtime.errors import QuotaExceeded
from mezzotint.runtime.interceptors.access import Principal

# A generation may wait for hours at peak; until it is over, what it may cost stays reserved. The contract's longest hold.
HOLD_SECONDS = 86_400
# A retry's reservation is the first call's, or it was made long after the job: ratelimit remembers for ten minutes.
SAME_RESERVATION_SECONDS = 60
NEVER_SECONDS = float("inf")


@dataclass(frozen=True)
class Reservation:
    """Amounts held for one generation, and where the limits stood. Denied: `reservation_id` is empty."""

    reservation_id: str
    subject: ratelimit_pb2.Subject
    limits: Sequence[ratelimit_pb2.LimitStatus]
    made_at: float

    def is_later_than(self, accepted_at: float) -> bool:
        """It was made for a retry of a job accepted at `accepted_at`, by whose first call another one was settled."""
        return self.made_at > accepted_at + SAME_RESERVATION_SECONDS


class Quota:
    """Reserves, commits and releases with ratelimit."""

    def __init__(self, channel: Channel) -> None:
        self._peer = Peer("ratelimit", channel)
        self._stub = ratelimit_pb2_grpc.RateLimitServiceStub(channel)

    async def reserve(self, caller: Principal, charge_id: str, images: int) -> Reservation:
        """Hold one request and `images` images, or nothing: look whether it was denied. The same id, the same reservation."""
        subject = ratelimit_pb2.Subject(account_id=caller.account_id, tier=caller.tier)
        request = ratelimit_pb2.ReserveRequest(
            request_id=charge_id,
            subject=subject,
            charges=charges(requests=1, images=images),
            hold=duration_pb2.Duration(seconds=HOLD_SECONDS),
        )
        response = await self._peer.call(self._stub.Reserve, request)
        made_at = response.expires_at.ToNanoseconds() / 1e9 - HOLD_SECONDS
        return Reservation(response.reservation_id, subject, tuple(response.decision.limits), made_at)

    async def commit(self, reservation: Reservation, *, images: int) -> None:
        """Charge one request and `images` images for good. Again has no further effect."""
        request = ratelimit_pb2.CommitRequest(
            reservation_id=reservation.reservation_id,
            subject=reservation.subject,
            charges=charges(requests=1, images=images),
        )
        await self._peer.call(self._stub.Commit, request)

    async def release(self, reservation: Reservation) -> None:
        """Give everything back. Idempotent."""
        await self._peer.call(self._stub.Release, ratelimit_pb2.ReleaseRequest(reservation_id=reservation.reservation_id))


def charges(*, requests: int, images: int) -> list[ratelimit_pb2.Charge]:
    """The amounts as ratelimit takes them; nothing is left out rather than charged as 0."""
    amounts = {"requests": requests, "images": images}
    return [ratelimit_pb2.Charge(dimension=name, amount=amount) for name, amount in amounts.items() if amount]


def exceeded(limits: Sequence[ratelimit_pb2.LimitStatus]) -> QuotaExceeded:
    """The error for a denial: it names the limit that will let the request pass last."""
    if not limits:
        return QuotaExceeded("a limit is reached")
    tightest = max(limits, key=seconds_to_wait)
    wait = seconds_to_wait(tightest)
    metadata = {
        "limit": tightest.name,
        "dimension": tightest.dimension,
        "max": str(tightest.limit),
        "remaining": str(tightest.remaining),
    }
    left = f"{tightest.remaining} of {tightest.limit} {tightest.dimension} are left of the limit {tightest.name}"
    if wait == NEVER_SECONDS:
        return QuotaExceeded(f"the request is larger than the limit {tightest.name} ever allows; {left}", metadata=metadata)
    return QuotaExceeded(f"{left}; try again in {wait:.1f} s", retry_after=wait, metadata=metadata)


def seconds_to_wait(limit: ratelimit_pb2.LimitStatus) -> float:
    """Until the limit lets the request pass; infinite when it never will."""
    return limit.retry_after.ToNanoseconds() / 1e9 if limit.HasField("retry_after") else NEVER_SECONDS
