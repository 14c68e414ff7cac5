"""RateLimitService over the ledger."""

from __future__ import annotations

import grpc

from mezzotint.api.ratelimit.v1 import ratelimit_pb2 as pb
from mezzotint.api.ratelimit.v1 import ratelimit_pb2_grpc
from mezzotint.ratelimit import metrics
from mezzotint.ratelimit.ledger import Ledger
from mezzotint.ratelimit.messages import amounts_of, decision_message, hold_ns_of, reserve_response, status_message, subject_of
from mezzotint.ratelimit.moments import Moments


class RateLimitService(ratelimit_pb2_grpc.RateLimitServiceServicer):
    """Every call is a few microseconds of arithmetic on the event loop, which thereby takes calls one after the other."""

    def __init__(self, ledger: Ledger, moments: Moments) -> None:
        self._ledger = ledger
        self._moments = moments

    async def Check(
        self, request: pb.CheckRequest, context: grpc.aio.ServicerContext[pb.CheckRequest, pb.CheckResponse]
    ) -> pb.CheckResponse:
        """Charge an amount for good."""
        subject, amounts = subject_of(request.subject), amounts_of(request.charges)
        decision = self._ledger.check(request.request_id, subject, amounts, self._moments.read())
        metrics.count(decision)
        return pb.CheckResponse(decision=decision_message(decision))

    async def Reserve(
        self, request: pb.ReserveRequest, context: grpc.aio.ServicerContext[pb.ReserveRequest, pb.ReserveResponse]
    ) -> pb.ReserveResponse:
        """Charge an expected amount."""
        subject, amounts = subject_of(request.subject), amounts_of(request.charges)
        reserved = self._ledger.reserve(request.request_id, subject, amounts, hold_ns_of(request), self._moments.read())
        metrics.count(reserved.decision)
        return reserve_response(reserved)

    async def Commit(
        self, request: pb.CommitRequest, context: grpc.aio.ServicerContext[pb.CommitRequest, pb.CommitResponse]
    ) -> pb.CommitResponse:
        """Settle a reservation at the real amount."""
        subject, amounts = subject_of(request.subject), amounts_of(request.charges)
        return pb.CommitResponse(late=self._ledger.commit(request.reservation_id, subject, amounts, self._moments.read()))

    async def Release(
        self, request: pb.ReleaseRequest, context: grpc.aio.ServicerContext[pb.ReleaseRequest, pb.ReleaseResponse]
    ) -> pb.ReleaseResponse:
        """Give a reservation back."""
        return pb.ReleaseResponse(released=self._ledger.release(request.reservation_id, self._moments.read()))

    async def Peek(
        self, request: pb.PeekRequest, context: grpc.aio.ServicerContext[pb.PeekRequest, pb.PeekResponse]
    ) -> pb.PeekResponse:
        """What every limit of a caller stands at."""
        statuses = self._ledger.peek(subject_of(request.subject), self._moments.read())
        return pb.PeekResponse(limits=[status_message(status) for status in statuses])
