"""IdentityService, over the wire: who is calling, and who must be forgotten."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import identity_pb2, identity_pb2_grpc
from mezzotint.auth import app
from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime import calls, errors
from mezzotint.runtime.tls import Authority
from tests.auth.serving import EMAIL, Auth, bearer, serving_auth
from tests.support.clock import ManualClock
from tests.support.serving import connect, serving

Message = identity_pb2.WatchRevocationsResponse
# The contract's promise: a revocation reaches every verifier within a second.
PROMPT_SECONDS = 1


async def following(stream: AsyncIterator[Message]) -> Message:
    """The next message that is no heartbeat."""
    async for message in stream:
        if message.HasField("revocation") or message.reset:
            return message
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    "credential", ["x", "mzt_", "mzt_" + "a" * 60, "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u0000", "🔑" * 1000]
)
async def test_garbage_is_no_credential(auth: Auth, credential: str) -> None:
    """Ensures that whatever is sent is refused by name and breaks nothing."""
    with pytest.raises(errors.CredentialInvalid):
        await auth.authenticate(credential)


@pytest.mark.parametrize("credential", ["", "x" * 4097])
async def test_a_credential_has_a_length(auth: Auth, credential: str) -> None:
    """Ensures that the limits of the contract hold."""
    with pytest.raises(errors.FieldInvalid):
        await auth.authenticate(credential)


@pytest.mark.parametrize("identity", ["queue", "inference", "ratelimit", "auth"])
async def test_other_services_verify_nobody(auth: Auth, authority: Authority, identity: str) -> None:
    """Ensures that only the gateway and operators learn whose a credential is."""
    async with connect(authority, auth.port, "auth", identity=identity) as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        with pytest.raises(errors.CallerNotAllowed):
            await calls.call(stub.Authenticate, identity_pb2.AuthenticateRequest(credential="x"))
        with pytest.raises(errors.CallerNotAllowed):
            async for _ in calls.stream(stub.WatchRevocations, identity_pb2.WatchRevocationsRequest()):
                pass


async def test_a_verifier_can_check_tokens_by_the_published_keys(auth: Auth) -> None:
    """Ensures that the keys verify what the service signs and hold no private part."""
    access = (await auth.member()).access_token
    answer = await calls.call(auth.identity.GetSigningKeys, identity_pb2.GetSigningKeysRequest())
    published = json.loads(answer.keys[0].jwk_json)
    assert "d" not in published
    token = jwt.decode(access, ECKey.import_key(published), algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": answer.keys[0].kid}
    assert set(token.claims) == {"iss", "aud", "sub", "sid", "tier", "scope", "iat", "exp", "jti"}


async def test_a_watch_begins_with_a_heartbeat_and_goes_on_with_them(auth: Auth) -> None:
    """Ensures that a verifier knows at once that it is up to date, and within a second that the stream still lives."""
    stream = auth.watch()
    for _ in range(3):
        assert await asyncio.wait_for(anext(stream), PROMPT_SECONDS) == Message(sequence=0)


async def test_everything_that_spoils_an_answer_is_told_within_a_second(auth: Auth) -> None:
    """Ensures that revoked keys, ended sessions, a new password and a new tier reach a verifier, numbered without gaps."""
    tokens, other = await auth.member(), await auth.sign_in()
    account_id = (await auth.authenticate(tokens.access_token)).principal.account_id
    key, old = await auth.create_key(tokens.access_token), await auth.create_key(tokens.access_token)
    me = bearer(tokens.access_token)
    password = pb.ChangePasswordRequest(old_password="correct horse battery", new_password="a new password")
    steps: list[tuple[Callable[[], Awaitable[object]], str]] = [
        (lambda: auth.revoke_key(tokens.access_token, key.api_key.key_id), key.api_key.key_id),
        (
            lambda: calls.call(auth.accounts.RotateApiKey, pb.RotateApiKeyRequest(key_id=old.api_key.key_id), metadata=me),
            old.api_key.key_id,
        ),
        (lambda: calls.call(auth.operator.SetTier, pb.SetTierRequest(email=EMAIL, tier="plus")), account_id),
        (lambda: calls.call(auth.accounts.ChangePassword, password, metadata=me), account_id),
        (lambda: calls.call(auth.accounts.SignOut, pb.SignOutRequest(), metadata=me), tokens.session.session_id),
    ]
    stream = auth.watch()
    for sequence, (step, target) in enumerate(steps, start=1):
        await step()
        message = await asyncio.wait_for(following(stream), PROMPT_SECONDS)
        assert message.sequence == sequence
        assert message.revocation.credential_id + message.revocation.account_id == target
    with pytest.raises(errors.CredentialRevoked):
        await auth.authenticate(other.access_token)


async def test_a_tier_set_again_is_no_news(auth: Auth) -> None:
    """Ensures that an operator who repeats a call does not make verifiers forget the account again."""
    await auth.sign_up()
    for _ in range(3):
        await calls.call(auth.operator.SetTier, pb.SetTierRequest(email=EMAIL, tier="plus"))
    stream = auth.watch()
    assert [(await anext(stream)).HasField("revocation") for _ in range(2)] == [True, False]


async def test_many_watchers_are_all_told(auth: Auth) -> None:
    """Ensures that each of a hundred verifiers hears of a revocation within a second."""
    access = (await auth.member()).access_token
    key = await auth.create_key(access)
    streams = [auth.watch() for _ in range(100)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    waiting = asyncio.gather(*(following(stream) for stream in streams))
    await auth.revoke_key(access, key.api_key.key_id)
    messages = await asyncio.wait_for(waiting, PROMPT_SECONDS)
    assert {message.revocation.credential_id for message in messages} == {key.api_key.key_id}


async def test_a_watch_resumes_where_it_broke_off(settings: AuthSettings, authority: Authority, clock: ManualClock) -> None:
    """Ensures that nothing is missed between two watches, not even across a restart of the service."""
    async with serving_auth(settings, authority, clock) as auth:
        access = (await auth.member()).access_token
        ids = [(await auth.create_key(access)).api_key.key_id for _ in range(3)]
        await auth.revoke_key(access, ids[0])
        seen = (await asyncio.wait_for(following(auth.watch()), PROMPT_SECONDS)).sequence
        await auth.revoke_key(access, ids[1])
    async with serving_auth(settings, authority, clock) as auth:
        await auth.revoke_key(access, ids[2])
        stream = auth.watch(seen)
        messages = [await asyncio.wait_for(following(stream), PROMPT_SECONDS) for _ in range(2)]
    assert [message.revocation.credential_id for message in messages] == ids[1:]
    assert [message.sequence for message in messages] == [seen + 1, seen + 2]


async def test_an_unknown_sequence_resets_the_verifier(auth: Auth) -> None:
    """Ensures that a verifier that followed another database drops its cache and goes on from here."""
    access = (await auth.member()).access_token
    key = await auth.create_key(access)
    stream = auth.watch(after=17)
    assert await asyncio.wait_for(anext(stream), PROMPT_SECONDS) == Message(sequence=0, reset=True)
    await auth.revoke_key(access, key.api_key.key_id)
    assert (await asyncio.wait_for(following(stream), PROMPT_SECONDS)).revocation.credential_id == key.api_key.key_id


async def test_stopping_ends_the_watches(settings: AuthSettings, authority: Authority) -> None:
    """Ensures that a stop does not wait for watchers, and that they are told to come again."""
    async with AsyncExitStack() as stack:
        async with serving(app.run, settings) as port:
            channel = await stack.enter_async_context(connect(authority, port, "auth", identity="gateway"))
            stub = identity_pb2_grpc.IdentityServiceStub(channel)
            stream = calls.stream(stub.WatchRevocations, identity_pb2.WatchRevocationsRequest())
            await anext(stream)
            end = asyncio.ensure_future(following(stream))
        with pytest.raises(errors.ServerDraining):
            await asyncio.wait_for(end, PROMPT_SECONDS)
