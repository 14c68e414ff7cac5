"""Sessions, over the wire."""

import asyncio

import pytest

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.auth import refresh_tokens, sessions
from mezzotint.auth.pepper import Pepper
from mezzotint.runtime import calls, errors
from tests.auth.serving import Auth, bearer
from tests.support.clock import ManualClock


async def test_a_session_holds_every_scope_for_fifteen_minutes(auth: Auth, clock: ManualClock) -> None:
    """Ensures that an access token works until its end and not a second longer."""
    tokens = await auth.member()
    assert tokens.access_expires_at.seconds == int(clock.now()) + 15 * 60
    clock.advance(15 * 60 - 1)
    answer = await auth.authenticate(tokens.access_token)
    assert answer.principal.credential_id == tokens.session.session_id
    assert list(answer.principal.scopes) == ["account:manage", "account:read", "images:generate", "images:read", "keys:manage"]
    assert answer.cache_until.seconds == tokens.access_expires_at.seconds
    clock.advance(1)
    with pytest.raises(errors.CredentialExpired):
        await auth.authenticate(tokens.access_token)


async def test_refreshing_goes_on_until_the_session_ends(auth: Auth, clock: ManualClock) -> None:
    """Ensures that a session lives 30 days however often it is refreshed, and its last access token no longer."""
    tokens = await auth.member()
    end = tokens.session.expires_at.seconds
    assert end == int(clock.now()) + 30 * 24 * 3600
    clock.advance(30 * 24 * 3600 - 60)
    tokens = await auth.refresh(tokens)
    assert tokens.session.expires_at.seconds == tokens.access_expires_at.seconds == end
    clock.advance(60)
    with pytest.raises(errors.CredentialExpired):
        await auth.refresh(tokens)


async def test_a_refresh_token_used_twice_ends_the_session(auth: Auth) -> None:
    """Ensures that a stolen refresh token is worth one use, and then nothing to either of the two who hold it."""
    first = await auth.member()
    second = await auth.refresh(first)
    with pytest.raises(errors.CredentialRevoked):
        await auth.refresh(first)
    with pytest.raises(errors.CredentialRevoked):
        await auth.refresh(second)
    for tokens in (first, second):
        with pytest.raises(errors.CredentialRevoked):
            await auth.authenticate(tokens.access_token)


async def test_two_refreshes_at_once_end_the_session(auth: Auth) -> None:
    """Ensures that of concurrent uses one at most wins, and that its winnings are withdrawn."""
    tokens = await auth.member()
    results = await asyncio.gather(*(auth.refresh(tokens) for _ in range(8)), return_exceptions=True)
    winners = [result for result in results if isinstance(result, pb.SessionTokens)]
    assert len(winners) <= 1
    assert all(isinstance(result, pb.SessionTokens | errors.CredentialRevoked) for result in results)
    for winner in winners:
        with pytest.raises(errors.CredentialRevoked):
            await auth.authenticate(winner.access_token)


async def test_revocation_wins_against_refreshing(auth: Auth) -> None:
    """Ensures that whatever a refresh got while its session was revoked does not work afterwards."""
    owner = await auth.member()
    for _ in range(5):
        tokens = await auth.sign_in()
        request = pb.RevokeSessionRequest(session_id=tokens.session.session_id)
        refreshed, _ = await asyncio.gather(
            auth.refresh(tokens),
            calls.call(auth.accounts.RevokeSession, request, metadata=bearer(owner.access_token)),
            return_exceptions=True,
        )
        with pytest.raises(errors.CredentialRevoked):
            await auth.refresh(tokens)
        if isinstance(refreshed, pb.SessionTokens):
            with pytest.raises(errors.CredentialRevoked):
                await auth.refresh(refreshed)


@pytest.mark.parametrize(
    "forge", [lambda token: "mzt_refresh_garbage", lambda token: token[:-1] + "!", lambda token: token[::-1]]
)
async def test_a_forged_refresh_token_is_refused_and_harms_nobody(auth: Auth, forge: object) -> None:
    """Ensures that who knows a session's id, but no token of it, cannot end it."""
    assert callable(forge)
    tokens = await auth.member()
    mine = refresh_tokens.mint(tokens.session.session_id, Pepper(bytes(32)))
    for token in (forge(tokens.refresh_token), mine):
        with pytest.raises(errors.CredentialInvalid):
            await calls.call(auth.accounts.RefreshSession, pb.RefreshSessionRequest(refresh_token=token))
    assert (await auth.refresh(tokens)).access_token


async def test_signing_out_ends_the_session(auth: Auth) -> None:
    """Ensures that neither of a session's tokens works after signing out, while the account's other session does."""
    tokens, other = await auth.member(), await auth.sign_in()
    await calls.call(auth.accounts.SignOut, pb.SignOutRequest(), metadata=bearer(tokens.access_token))
    with pytest.raises(errors.CredentialRevoked):
        await auth.authenticate(tokens.access_token)
    with pytest.raises(errors.CredentialRevoked):
        await auth.refresh(tokens)
    assert (await auth.authenticate(other.access_token)).principal.account_id


async def test_an_api_key_cannot_sign_out(auth: Auth) -> None:
    """Ensures that signing out with a key, which has no session, says what to do instead."""
    key = await auth.create_key((await auth.member()).access_token, scopes=["account:manage"])
    with pytest.raises(errors.CallerNotAllowed, match="RevokeApiKey"):
        await calls.call(auth.accounts.SignOut, pb.SignOutRequest(), metadata=bearer(key.secret))


async def test_revoking_a_session_twice_is_no_error_and_one_revocation(auth: Auth) -> None:
    """Ensures that RevokeSession can be repeated, and that what is not the caller's is not found."""
    tokens, other = await auth.member(), await auth.sign_in()
    stranger = await auth.member("eve@example.org")
    request = pb.RevokeSessionRequest(session_id=other.session.session_id)
    with pytest.raises(errors.SessionNotFound):
        await calls.call(auth.accounts.RevokeSession, request, metadata=bearer(stranger.access_token))
    for _ in range(2):
        await calls.call(auth.accounts.RevokeSession, request, metadata=bearer(tokens.access_token))
    stream = auth.watch()
    assert [(await anext(stream)).HasField("revocation") for _ in range(2)] == [True, False]


async def test_sessions_are_listed_newest_first_in_pages(auth: Auth) -> None:
    """Ensures that pages follow each other without gap or repetition, and leave out what ended."""
    tokens = [await auth.member(), *[await auth.sign_in() for _ in range(4)]]
    ids = [each.session.session_id for each in reversed(tokens)]
    me = bearer(tokens[0].access_token)
    await calls.call(auth.accounts.RevokeSession, pb.RevokeSessionRequest(session_id=ids[1]), metadata=me)
    del ids[1]
    listed, token = [], ""
    for _ in range(2):
        request = pb.ListSessionsRequest(page_size=2, page_token=token)
        page = await calls.call(auth.accounts.ListSessions, request, metadata=me)
        listed += [session.session_id for session in page.sessions]
        token = page.next_page_token
    assert (listed, token) == (ids, "")


async def test_of_too_many_sessions_the_oldest_ends(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that an account does not gather sessions without end, and that signing in always works."""
    monkeypatch.setattr(sessions, "OPEN_MAX", 3)
    tokens = [await auth.member(), *[await auth.sign_in() for _ in range(3)]]
    with pytest.raises(errors.CredentialRevoked):
        await auth.authenticate(tokens[0].access_token)
    for each in tokens[1:]:
        await auth.authenticate(each.access_token)
