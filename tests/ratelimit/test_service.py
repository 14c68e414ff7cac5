"""The contract over the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import pytest

from mezzotint.api.ratelimit.v1 import ratelimit_pb2 as pb
from mezzotint.api.ratelimit.v1 import ratelimit_pb2_grpc
from mezzotint.runtime import errors
from mezzotint.runtime.calls import call
from tests.ratelimit.conftest import OpenChannel, Serve
from tests.ratelimit.requests import check, commit, reserve, subject
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from mezzotint.api.ratelimit.v1.ratelimit_pb2_grpc import RateLimitServiceAsyncStub as Stub


async def remaining(stub: Stub, *, account_id: str = "acc_a", tier: str = "free") -> dict[str, int]:
    """What is left of every limit, by name, in order."""
    response = await call(stub.Peek, pb.PeekRequest(subject=subject(account_id, tier)))
    return {limit.name: limit.remaining for limit in response.limits}


async def test_check_charges_every_limit_and_says_where_each_stands(serve: Serve) -> None:
    """Ensures that an allowed charge counts in each limit of its dimension and the answer has the contract's fields."""
    async with serve() as stub:
        response = await call(stub.Check, check(requests=1, images=4))
        decision = response.decision
        assert decision.allowed
        assert decision.retry_after.ToNanoseconds() == 0
        assert decision.HasField("retry_after")
        assert [(each.name, each.dimension, each.limit, each.remaining) for each in decision.limits] == [
            ("burst", "requests", 3, 2),
            ("daily", "images", 10, 6),
            ("everybody", "images", 25, 21),
        ]
        # The clock stands at noon: a request a second drains, the day has twelve hours left, the hour all of itself.
        assert [each.reset_after.seconds for each in decision.limits] == [1, 12 * 3600, 3600]
        assert all(each.HasField("retry_after") and not each.retry_after.ToNanoseconds() for each in decision.limits)


async def test_a_denial_is_an_answer_and_changes_nothing(serve: Serve) -> None:
    """Ensures that where one limit is in the way, none is charged, and the answer says which and for how long."""
    async with serve() as stub:
        await call(stub.Check, check(images=8))
        response = await call(stub.Check, check(requests=1, images=4))
        assert not response.decision.allowed
        waits = {each.name: each.retry_after.seconds for each in response.decision.limits}
        assert waits == {"burst": 0, "daily": 12 * 3600, "everybody": 0}
        assert response.decision.retry_after.seconds == 12 * 3600
        assert await remaining(stub) == {"burst": 3, "daily": 2, "everybody": 17}


async def test_a_charge_beyond_the_limit_never_passes(serve: Serve) -> None:
    """Ensures that retry_after is absent where waiting cannot help."""
    async with serve() as stub:
        decision = (await call(stub.Check, check(requests=4))).decision
        assert not decision.allowed
        assert not decision.HasField("retry_after")
        assert [each.name for each in decision.limits if not each.HasField("retry_after")] == ["burst"]


async def test_retry_after_is_when_it_passes(serve: Serve, clock: ManualClock) -> None:
    """Ensures that who waits as told is let through, and not before."""
    async with serve() as stub:
        await call(stub.Check, check(requests=3))
        wait = (await call(stub.Check, check(requests=2))).decision.retry_after
        assert wait.seconds == 2
        clock.advance(1.9)
        assert not (await call(stub.Check, check(requests=2))).decision.allowed
        clock.advance(0.1)
        assert (await call(stub.Check, check(requests=2))).decision.allowed


async def test_a_dimension_that_no_limit_counts_is_free(serve: Serve) -> None:
    """Ensures that callers may name what this policy does not limit."""
    async with serve() as stub:
        assert (await call(stub.Check, check(pixels=1_000_000))).decision.allowed


async def test_reserve_commit_charges_the_real_amount(serve: Serve) -> None:
    """Ensures that less than reserved is given back, more is charged, and what was left out cost nothing."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(requests=1, images=4))
        assert await remaining(stub) == {"burst": 2, "daily": 6, "everybody": 21}
        assert not (await call(stub.Commit, commit(reserved.reservation_id, images=1))).late
        assert await remaining(stub) == {"burst": 3, "daily": 9, "everybody": 24}
        reserved = await call(stub.Reserve, reserve(images=4))
        await call(stub.Commit, commit(reserved.reservation_id, images=12))
        assert await remaining(stub) == {"burst": 3, "daily": 0, "everybody": 12}


async def test_release_gives_back_once(serve: Serve) -> None:
    """Ensures that a release returns everything, and a second one or one of nothing does nothing."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(requests=2, images=4))
        release = pb.ReleaseRequest(reservation_id=reserved.reservation_id)
        assert (await call(stub.Release, release)).released
        assert not (await call(stub.Release, release)).released
        assert not (await call(stub.Release, pb.ReleaseRequest(reservation_id="rsv_unknown"))).released
        assert await remaining(stub) == {"burst": 3, "daily": 10, "everybody": 25}


async def test_a_reservation_ends_by_itself(serve: Serve, clock: ManualClock) -> None:
    """Ensures that what nobody settles is given back when its hold is over, and not before."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(images=4, hold=30))
        assert reserved.expires_at.ToNanoseconds() == int((clock.now() + 30) * 1e9)
        clock.advance(29)
        assert (await remaining(stub))["daily"] == 6
        clock.advance(1)
        assert (await remaining(stub))["daily"] == 10
        assert not (await call(stub.Release, pb.ReleaseRequest(reservation_id=reserved.reservation_id))).released


async def test_a_hold_is_ten_minutes_unless_said(serve: Serve, clock: ManualClock) -> None:
    """Ensures the default of the contract."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(images=4))
        assert reserved.expires_at.ToNanoseconds() == int((clock.now() + 600) * 1e9)


async def test_a_late_commit_charges_and_says_so(serve: Serve, clock: ManualClock) -> None:
    """Ensures that work that was done is counted even when its reservation is over or unknown."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(images=4, hold=30))
        clock.advance(31)
        assert (await call(stub.Commit, commit(reserved.reservation_id, images=3))).late
        assert (await call(stub.Commit, commit("rsv_unknown", images=1))).late
        assert (await remaining(stub))["daily"] == 6


async def test_a_denied_reservation_has_no_id(serve: Serve) -> None:
    """Ensures that nothing can be settled that was not reserved."""
    async with serve() as stub:
        response = await call(stub.Reserve, reserve(images=11))
        assert not response.decision.allowed
        assert response.reservation_id == ""
        assert not response.HasField("expires_at")


async def test_retries_have_no_second_effect(serve: Serve) -> None:
    """Ensures that Check, Reserve and Commit answer a retry as the first time and charge once."""
    async with serve() as stub:
        assert await call(stub.Check, check(request_id="a", images=1)) == await call(
            stub.Check, check(request_id="a", images=1)
        )
        first = await call(stub.Reserve, reserve(request_id="a", images=2))
        assert await call(stub.Reserve, reserve(request_id="a", images=2)) == first
        assert (await remaining(stub))["daily"] == 7
        for _ in range(2):
            assert not (await call(stub.Commit, commit(first.reservation_id, images=1))).late
            assert (await call(stub.Commit, commit("rsv_unknown", images=1))).late
        assert (await remaining(stub))["daily"] == 7


async def test_a_request_id_is_an_accounts_own_and_for_one_request(serve: Serve) -> None:
    """Ensures that an id is not answered with somebody else's answer, nor used to charge less than is asked for."""
    async with serve() as stub:
        await call(stub.Check, check(request_id="a", images=1))
        assert (await call(stub.Check, check(request_id="a", account_id="acc_b", images=2))).decision.limits[1].remaining == 8
        with pytest.raises(errors.RequestIdReused):
            await call(stub.Check, check(request_id="a", images=2))


async def test_a_denial_is_decided_anew_on_a_retry(serve: Serve, clock: ManualClock) -> None:
    """Ensures that who waited as told may come back with the same request id."""
    async with serve() as stub:
        await call(stub.Check, check(requests=3))
        assert not (await call(stub.Reserve, reserve(request_id="a", requests=1))).decision.allowed
        clock.advance(1)
        assert (await call(stub.Reserve, reserve(request_id="a", requests=1))).decision.allowed


async def test_request_ids_are_forgotten_after_ten_minutes(serve: Serve, clock: ManualClock) -> None:
    """Ensures that the promise to remember has an end."""
    async with serve() as stub:
        await call(stub.Check, check(request_id="a", images=1))
        clock.advance(599)
        await call(stub.Check, check(request_id="a", images=1))
        assert (await remaining(stub))["daily"] == 9
        clock.advance(1)
        await call(stub.Check, check(request_id="a", images=1))
        assert (await remaining(stub))["daily"] == 8


async def test_accounts_and_tiers_are_apart_but_for_everybody(serve: Serve) -> None:
    """Ensures that nobody pays for another, except where all share a limit."""
    async with serve() as stub:
        await call(stub.Check, check(images=10))
        assert await remaining(stub, account_id="acc_b") == {"burst": 3, "daily": 10, "everybody": 15}
        assert await remaining(stub, tier="plus") == {"plus-daily": 1000, "everybody": 15}
        assert not (await call(stub.Check, check(account_id="acc_b", tier="plus", images=16))).decision.allowed


async def test_an_unknown_tier_is_refused_with_those_there_are(serve: Serve) -> None:
    """Ensures that every RPC that needs a tier says which there are."""
    async with serve() as stub:
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: call(stub.Check, check(tier="gold", images=1)),
            lambda: call(stub.Reserve, reserve(tier="gold", images=1)),
            lambda: call(stub.Commit, commit("rsv_unknown", tier="gold", images=1)),
            lambda: call(stub.Peek, pb.PeekRequest(subject=subject(tier="gold"))),
        ]
        for attempt in attempts:
            with pytest.raises(errors.TierUnknown) as caught:
                await attempt()
            assert caught.value.metadata == {"tiers": "free, plus"}


async def test_an_open_reservation_is_of_its_account(serve: Serve) -> None:
    """Ensures that a commit that names another account changes nothing."""
    async with serve() as stub:
        reserved = await call(stub.Reserve, reserve(images=4))
        with pytest.raises(errors.FieldInvalid, match="another account"):
            await call(stub.Commit, commit(reserved.reservation_id, account_id="acc_b", images=1))
        assert (await remaining(stub))["daily"] == 6


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CheckRequest(subject=subject(), charges=[pb.Charge(dimension="images", amount=1)]), "request_id"),
        (check(account_id="", images=1), "subject.account_id"),
        (check(account_id="x" * 65, images=1), "subject.account_id"),
        (check(tier="", images=1), "subject.tier"),
        (check(images=0), "charges[0].amount"),
        (check(images=1_000_001), "charges[0].amount"),
        (check(), "charges"),
        (
            pb.CheckRequest(
                request_id="a",
                subject=subject(),
                charges=[pb.Charge(dimension=f"d{number}", amount=1) for number in range(17)],
            ),
            "charges",
        ),
        (pb.CheckRequest(request_id="a", charges=[pb.Charge(dimension="images", amount=1)]), "subject"),
        (
            pb.CheckRequest(request_id="a", subject=subject(), charges=[pb.Charge(dimension="images", amount=1)] * 2),
            "charges",
        ),
    ],
)
async def test_bad_requests_name_the_field(serve: Serve, request_: pb.CheckRequest, field: str) -> None:
    """Ensures that whatever breaks the contract is refused with the field at fault."""
    async with serve() as stub:
        with pytest.raises(errors.FieldInvalid) as caught:
            await call(stub.Check, request_)
        assert field in [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize("identity", ["auth", "queue", "inference", "somebody"])
async def test_other_callers_are_refused(serve: Serve, identity: str) -> None:
    """Ensures that only those the contract names may call, on every RPC."""
    async with serve(identity=identity) as stub:
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: call(stub.Check, check(images=1)),
            lambda: call(stub.Reserve, reserve(images=1)),
            lambda: call(stub.Commit, commit("rsv_x", images=1)),
            lambda: call(stub.Release, pb.ReleaseRequest(reservation_id="rsv_x")),
            lambda: call(stub.Peek, pb.PeekRequest(subject=subject())),
        ]
        for attempt in attempts:
            with pytest.raises(errors.CallerNotAllowed):
                await attempt()


async def test_the_operator_may_call(serve: Serve) -> None:
    """Ensures that a person with the operator's certificate can look."""
    async with serve(identity="operator") as stub:
        assert await remaining(stub) == {"burst": 3, "daily": 10, "everybody": 25}


async def test_garbage_is_refused_and_the_service_goes_on(open_channel: OpenChannel) -> None:
    """Ensures that bytes that are no message cost one call, not the service."""
    async with open_channel() as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/mezzotint.api.ratelimit.v1.RateLimitService/Check"
        )
        with pytest.raises(grpc.RpcError):
            await method(b"\xff\xff\xff")
        assert (await remaining(ratelimit_pb2_grpc.RateLimitServiceStub(channel)))["daily"] == 10
