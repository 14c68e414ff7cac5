"""API keys, over the wire."""

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.auth import api_keys, key_secrets
from mezzotint.runtime import calls, errors
from tests.auth.serving import Auth, bearer
from tests.support.clock import ManualClock


async def test_a_key_works_and_shows_its_id(auth: Auth) -> None:
    """Ensures that a new key authenticates its account with the default scopes, and names itself in its secret."""
    tokens = await auth.member()
    made = await auth.create_key(tokens.access_token)
    assert made.secret.startswith(f"mzt_{made.api_key.key_id.removeprefix('key_')}_")
    answer = await auth.authenticate(made.secret)
    assert answer.principal.credential_id == made.api_key.key_id
    assert list(answer.principal.scopes) == ["account:read", "images:generate", "images:read"]
    found = await calls.call(auth.accounts.GetAccount, pb.GetAccountRequest(), metadata=bearer(made.secret))
    assert found.account.account_id == answer.principal.account_id


async def test_an_answer_may_be_cached_five_minutes_or_until_the_keys_end(auth: Auth, clock: ManualClock) -> None:
    """Ensures that no verifier remembers a key for longer than it works."""
    access, now = (await auth.member()).access_token, int(clock.now())
    for lifetime, cached in ((3600, 300), (60, 60)):
        made = await auth.create_key(access, expires_at=Timestamp(seconds=now + lifetime))
        assert (await auth.authenticate(made.secret)).cache_until.seconds == now + cached
    clock.advance(60)
    with pytest.raises(errors.CredentialExpired):
        await auth.authenticate(made.secret)


@pytest.mark.parametrize(
    "time", [Timestamp(seconds=-1), Timestamp(seconds=10**14), Timestamp(seconds=9, nanos=-5), Timestamp()]
)
async def test_a_key_must_end_in_the_future(auth: Auth, time: Timestamp) -> None:
    """Ensures that past and impossible times are refused by the field's name."""
    access = (await auth.member()).access_token
    with pytest.raises(errors.FieldInvalid) as refused:
        await auth.create_key(access, expires_at=time)
    assert [violation.field for violation in refused.value.violations] == ["expires_at"]


async def test_nobody_grants_more_than_they_have(auth: Auth) -> None:
    """Ensures that a key for managing keys can neither make nor rotate its way to another scope."""
    access = (await auth.member()).access_token
    strong = await auth.create_key(access, scopes=["account:manage", "images:read"])
    weak = await auth.create_key(access, scopes=["keys:manage", "images:read"])
    for wanted in (["account:manage"], []):
        with pytest.raises(errors.ScopeMissing) as refused:
            await auth.create_key(weak.secret, scopes=wanted)
        assert refused.value.metadata["scope"] in {"account:manage", "images:generate"}
    request = pb.RotateApiKeyRequest(key_id=strong.api_key.key_id)
    with pytest.raises(errors.ScopeMissing):
        await calls.call(auth.accounts.RotateApiKey, request, metadata=bearer(weak.secret))
    assert (await auth.create_key(weak.secret, scopes=["images:read"])).secret
    assert (await auth.authenticate(strong.secret)).principal.account_id


async def test_a_key_without_the_scope_is_refused(auth: Auth) -> None:
    """Ensures that a default key cannot make keys, and that the error names the scope."""
    made = await auth.create_key((await auth.member()).access_token)
    with pytest.raises(errors.ScopeMissing) as refused:
        await auth.create_key(made.secret)
    assert refused.value.metadata["scope"] == "keys:manage"


@pytest.mark.parametrize("scopes", [["images:steal"], ["images:read", "images:read"], ["images:read"] * 17])
async def test_only_known_scopes_are_granted(auth: Auth, scopes: list[str]) -> None:
    """Ensures that a misspelt scope is an error and not a key that cannot do what its owner thinks."""
    with pytest.raises(errors.FieldInvalid):
        await auth.create_key((await auth.member()).access_token, scopes=scopes)


async def test_a_revoked_key_is_refused_at_once(auth: Auth) -> None:
    """Ensures that revoking works before it is answered, can be repeated, and is shown in the list."""
    access = (await auth.member()).access_token
    made = await auth.create_key(access)
    for _ in range(2):
        await auth.revoke_key(access, made.api_key.key_id)
        with pytest.raises(errors.CredentialRevoked):
            await auth.authenticate(made.secret)
        with pytest.raises(errors.CredentialRevoked):
            await calls.call(auth.accounts.GetAccount, pb.GetAccountRequest(), metadata=bearer(made.secret))
    listed = await calls.call(auth.accounts.ListApiKeys, pb.ListApiKeysRequest(), metadata=bearer(access))
    assert [key.HasField("revoked_at") for key in listed.api_keys] == [True]


async def test_knowing_a_keys_id_is_not_knowing_the_key(auth: Auth) -> None:
    """Ensures that a secret made up for an id is refused though its checksum is right, and told nothing of the key."""
    access = (await auth.member()).access_token
    made = await auth.create_key(access)
    for _ in range(2):
        with pytest.raises(errors.CredentialInvalid):
            await auth.authenticate(key_secrets.mint(made.api_key.key_id))
        await auth.revoke_key(access, made.api_key.key_id)


async def test_rotating_replaces_the_secret_and_keeps_the_rest(auth: Auth, clock: ManualClock) -> None:
    """Ensures that the old secret stops at once and the new key has its name, scopes and end."""
    access = (await auth.member()).access_token
    end = Timestamp(seconds=int(clock.now()) + 3600)
    old = await auth.create_key(access, name="server", scopes=["images:read"], expires_at=end)
    request = pb.RotateApiKeyRequest(key_id=old.api_key.key_id)
    new = await calls.call(auth.accounts.RotateApiKey, request, metadata=bearer(access))
    assert new.api_key.key_id != old.api_key.key_id
    assert (new.api_key.name, list(new.api_key.scopes), new.api_key.expires_at) == ("server", ["images:read"], end)
    with pytest.raises(errors.CredentialRevoked):
        await auth.authenticate(old.secret)
    assert (await auth.authenticate(new.secret)).principal.credential_id == new.api_key.key_id
    with pytest.raises(errors.ApiKeyNotFound):
        await calls.call(auth.accounts.RotateApiKey, request, metadata=bearer(access))


async def test_of_rotations_at_once_one_wins(auth: Auth) -> None:
    """Ensures that one old key has one successor, and that a key revoked meanwhile has none that works."""
    access = (await auth.member()).access_token
    made = await auth.create_key(access)
    request = pb.RotateApiKeyRequest(key_id=made.api_key.key_id)
    results = await asyncio.gather(
        *(calls.call(auth.accounts.RotateApiKey, request, metadata=bearer(access)) for _ in range(3)), return_exceptions=True
    )
    names = sorted(type(result).__name__ for result in results)
    assert names == ["ApiKeyNotFound", "ApiKeyNotFound", "RotateApiKeyResponse"]


async def test_keys_of_others_are_not_found(auth: Auth) -> None:
    """Ensures that nobody revokes or rotates another account's key, nor learns that it exists."""
    made = await auth.create_key((await auth.member()).access_token)
    eve = bearer((await auth.member("eve@example.org")).access_token)
    key_id = made.api_key.key_id
    with pytest.raises(errors.ApiKeyNotFound):
        await calls.call(auth.accounts.RevokeApiKey, pb.RevokeApiKeyRequest(key_id=key_id), metadata=eve)
    with pytest.raises(errors.ApiKeyNotFound):
        await calls.call(auth.accounts.RotateApiKey, pb.RotateApiKeyRequest(key_id=key_id), metadata=eve)
    assert (await auth.authenticate(made.secret)).principal.account_id


async def test_keys_are_listed_newest_first_in_pages(auth: Auth) -> None:
    """Ensures that pages follow each other without gap or repetition, and hold no secret."""
    access = (await auth.member()).access_token
    made = [await auth.create_key(access, name=f"key {number}") for number in range(5)]
    listed: list[pb.ApiKey] = []
    token, pages = "", 0
    while token or not pages:
        request = pb.ListApiKeysRequest(page_size=2, page_token=token)
        page = await calls.call(auth.accounts.ListApiKeys, request, metadata=bearer(access))
        assert not any(each.secret in str(page) for each in made)
        listed, token, pages = [*listed, *page.api_keys], page.next_page_token, pages + 1
    assert pages == 3
    assert listed == [each.api_key for each in reversed(made)]


async def test_a_page_token_belongs_to_its_list(auth: Auth) -> None:
    """Ensures that malformed tokens, other accounts' and other lists' are refused."""
    ada, eve = await auth.member(), await auth.member("eve@example.org")
    await auth.sign_in()
    for _ in range(2):
        await auth.create_key(ada.access_token)
    me = bearer(ada.access_token)
    token = (await calls.call(auth.accounts.ListApiKeys, pb.ListApiKeysRequest(page_size=1), metadata=me)).next_page_token
    for credential, other in ((eve, token), (ada, token[:-1]), (ada, "garbage"), (ada, "\u0663.x"), (ada, "9" + token)):
        request = pb.ListApiKeysRequest(page_token=other)
        with pytest.raises(errors.PageTokenInvalid):
            await calls.call(auth.accounts.ListApiKeys, request, metadata=bearer(credential.access_token))
    with pytest.raises(errors.PageTokenInvalid):
        await calls.call(auth.accounts.ListSessions, pb.ListSessionsRequest(page_token=token), metadata=me)


async def test_an_account_has_so_many_keys_that_work(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that the limit holds when many are made at once, is named, and that revoking makes room."""
    monkeypatch.setattr(api_keys, "LIVE_MAX", 3)
    access = (await auth.member()).access_token
    results = await asyncio.gather(*(auth.create_key(access) for _ in range(5)), return_exceptions=True)
    made = [result for result in results if isinstance(result, pb.CreateApiKeyResponse)]
    refused = [result for result in results if isinstance(result, errors.LimitReached)]
    assert (len(made), len(refused)) == (3, 2)
    assert refused[0].metadata["limit"] == "3"
    await auth.revoke_key(access, made[0].api_key.key_id)
    assert (await auth.create_key(access)).secret
