"""The verifier alone: auth is a function here, and the stream of revocations is told by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.auth.v1 import identity_pb2
from mezzotint.gateway import refusals, revocations, verified
from mezzotint.gateway.principals import PrincipalCache
from mezzotint.gateway.verified import CachingVerifier
from mezzotint.runtime.errors import CredentialInvalid, CredentialRevoked, DependencyUnavailable, MezzotintError
from mezzotint.runtime.interceptors.access import Principal
from tests.support.clock import ManualClock

Revocation = identity_pb2.Revocation
HEARTBEAT = identity_pb2.WatchRevocationsResponse(sequence=1)


def revocation(target: identity_pb2.Revocation, sequence: int = 2) -> identity_pb2.WatchRevocationsResponse:
    return identity_pb2.WatchRevocationsResponse(sequence=sequence, revocation=target)


class Auth:
    """Answers every credential "<account>:<key>", counts how often it was asked, and waits for `gate` when it has one."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked = 0
        self.refusal: MezzotintError | None = None
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def __call__(self, request: identity_pb2.AuthenticateRequest) -> identity_pb2.AuthenticateResponse:
        self.asked += 1
        self.reached.set()
        if self.gate:
            await self.gate.wait()
        if self.refusal:
            raise self.refusal
        account, _, key = request.credential.partition(":")
        principal = identity_pb2.Principal(account_id=f"acc_{account}", credential_id=f"key_{key}", tier="free")
        answer = identity_pb2.AuthenticateResponse(principal=principal)
        answer.cache_until.FromNanoseconds(round((self.clock.now() + 60) * 1e9))
        return answer


@pytest.fixture
async def auth(clock: ManualClock) -> Auth:
    return Auth(clock)


@pytest.fixture
async def verifier(auth: Auth, clock: ManualClock) -> CachingVerifier:
    made = CachingVerifier(auth, clock, entries_max=100)
    made.connected()
    made.hear(HEARTBEAT)
    return made


async def test_an_answer_is_kept_until_its_end(verifier: CachingVerifier, auth: Auth, clock: ManualClock) -> None:
    """Ensures one question for many calls, and another when the answer's time is over."""
    for _ in range(3):
        assert (await verifier.verify("a:1")).account_id == "acc_a"
    assert auth.asked == 1
    clock.advance(61)
    verifier.hear(HEARTBEAT)
    await verifier.verify("a:1")
    assert auth.asked == 2


async def test_those_who_ask_at_once_share_one_question(verifier: CachingVerifier, auth: Auth) -> None:
    """Ensures that a crowd with one new key is one call, also when the first of them hangs up."""
    auth.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(verifier.verify("a:1")) for _ in range(10)]
    await auth.reached.wait()
    waiting[0].cancel()
    auth.gate.set()
    assert {found.credential_id for found in await asyncio.gather(*waiting[1:])} == {"key_1"}
    assert auth.asked == 1


@pytest.mark.parametrize("target", [Revocation(credential_id="key_1"), Revocation(account_id="acc_a")])
async def test_a_revocation_drops_what_it_names(verifier: CachingVerifier, auth: Auth, target: identity_pb2.Revocation) -> None:
    """Ensures that the next call with a revoked key or of a changed account asks again, and nobody else's does."""
    await verifier.verify("a:1")
    await verifier.verify("b:2")
    verifier.hear(revocation(target))
    await verifier.verify("b:2")
    assert auth.asked == 2
    auth.refusal = CredentialRevoked("it was withdrawn")
    with pytest.raises(CredentialRevoked):
        await verifier.verify("a:1")


async def test_an_answer_older_than_a_revocation_is_not_kept(verifier: CachingVerifier, auth: Auth) -> None:
    """Ensures that an answer on its way when the revocation arrives is good for its own call only."""
    auth.gate = asyncio.Event()
    early = asyncio.ensure_future(verifier.verify("a:1"))
    await auth.reached.wait()
    verifier.hear(revocation(Revocation(credential_id="key_1")))
    auth.gate.set()
    await early
    auth.refusal = CredentialRevoked("it was withdrawn")
    with pytest.raises(CredentialRevoked):
        await verifier.verify("a:1")


async def test_a_question_older_than_a_revocation_is_not_shared(verifier: CachingVerifier, auth: Auth) -> None:
    """Ensures that who calls after a revocation does not get the answer to a question from before it."""
    auth.gate = asyncio.Event()
    early = asyncio.ensure_future(verifier.verify("a:1"))
    await auth.reached.wait()
    verifier.hear(revocation(Revocation(credential_id="key_1")))
    late = asyncio.ensure_future(verifier.verify("a:1"))
    auth.gate.set()
    await asyncio.gather(early, late)
    assert auth.asked == 2


async def test_silence_makes_every_call_ask(verifier: CachingVerifier, auth: Auth, clock: ManualClock) -> None:
    """Ensures that 3 s without a message nothing remembered counts, and that after the gap a heartbeat must come first."""
    await verifier.verify("a:1")
    clock.advance(verified.SILENCE_SECONDS_MAX + 0.1)
    await verifier.verify("a:1")
    assert auth.asked == 2
    verifier.connected()
    verifier.hear(revocation(Revocation(credential_id="key_9")))
    await verifier.verify("a:1")
    assert auth.asked == 3
    verifier.hear(HEARTBEAT)
    await verifier.verify("a:1")
    assert auth.asked == 3


async def test_a_reset_empties_the_cache(verifier: CachingVerifier, auth: Auth) -> None:
    """Ensures that after missed changes nothing is taken for granted."""
    await verifier.verify("a:1")
    verifier.hear(identity_pb2.WatchRevocationsResponse(sequence=9, reset=True))
    await verifier.verify("a:1")
    assert auth.asked == 2


async def test_a_refusal_is_repeated_for_a_second_at_most(verifier: CachingVerifier, auth: Auth, clock: ManualClock) -> None:
    """Ensures that hammering with a bad key does not reach auth each time, and that a good one is not kept out."""
    auth.refusal = CredentialInvalid("unknown")
    for _ in range(5):
        with pytest.raises(CredentialInvalid, match="unknown"):
            await verifier.verify("a:1")
    assert auth.asked == 1
    auth.refusal = None
    clock.advance(refusals.KEEP_SECONDS)
    assert await verifier.verify("a:1")


async def test_an_outage_is_not_remembered(verifier: CachingVerifier, auth: Auth) -> None:
    """Ensures that auth's silence refuses nobody for longer than it lasts."""
    auth.refusal = DependencyUnavailable("auth does not answer")
    with pytest.raises(DependencyUnavailable):
        await verifier.verify("a:1")
    auth.refusal = None
    assert await verifier.verify("a:1")


@pytest.mark.parametrize("credential", ["", "x" * 4097])
async def test_what_cannot_be_a_credential_is_not_asked_for(verifier: CachingVerifier, auth: Auth, credential: str) -> None:
    """Ensures that nothing and too much are refused here."""
    with pytest.raises(CredentialInvalid):
        await verifier.verify(credential)
    assert auth.asked == 0


async def test_the_stream_is_taken_up_where_it_broke(verifier: CachingVerifier) -> None:
    """Ensures that after a break the next stream begins after the last sequence, so that no revocation is missed."""
    asked: list[int] = []
    done = asyncio.Event()

    async def watch(
        request: identity_pb2.WatchRevocationsRequest,
    ) -> AsyncGenerator[identity_pb2.WatchRevocationsResponse, None]:
        asked.append(request.after_sequence)
        if len(asked) > 2:
            done.set()
            await asyncio.Event().wait()
        yield revocation(Revocation(credential_id="key_1"), request.after_sequence + 5)
        raise DependencyUnavailable("gone")

    following = asyncio.ensure_future(revocations.follow(watch, verifier))
    await asyncio.wait_for(done.wait(), 5)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert asked == [0, 5, 10]


accounts = st.sampled_from(["acc_1", "acc_2", "acc_3"])
keys = st.sampled_from(["key_1", "key_2", "key_3", "key_4"])
operations = st.one_of(
    st.tuples(st.binary(min_size=1, max_size=1), st.builds(Principal, accounts, keys, st.just("free"), st.just(frozenset()))),
    st.tuples(st.none(), st.one_of(keys, accounts)),
)


@given(st.lists(operations, max_size=60))
def test_the_cache_forgets_exactly_what_it_is_told_to(steps: list[tuple[bytes, Principal] | tuple[None, str]]) -> None:
    """Ensures that it never holds more than it may, never what was dropped, and leaves nothing of dropped entries behind."""
    cache, model = PrincipalCache(entries_max=5), dict[bytes, Principal]()
    for fingerprint, value in steps:
        if fingerprint is not None and isinstance(value, Principal):
            cache.put(fingerprint, value, until=10.0)
            model[fingerprint] = value
        elif isinstance(value, str):
            cache.drop(value)
            model = {f: p for f, p in model.items() if value not in (p.account_id, p.credential_id)}
    assert len(cache) <= 5
    for single in (bytes([number]) for number in range(256)):
        found = cache.get(single, now=5.0)
        assert found is None or found == model.get(single)
    for name in ("acc_1", "acc_2", "acc_3"):
        cache.drop(name)
    assert len(cache) == 0
    assert not cache._named
