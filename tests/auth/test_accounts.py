"""Opening accounts and signing in, over the wire."""

import asyncio
import time

import pytest

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.runtime import calls, errors
from tests.auth.serving import EMAIL, PASSWORD, Auth, bearer
from tests.support.clock import ManualClock


async def test_sign_up_opens_a_free_account(auth: Auth, clock: ManualClock) -> None:
    """Ensures that a new account has an id, the address in lower case, the first tier and the time."""
    account = await auth.sign_up("Ada@Example.ORG")
    assert account.account_id.startswith("acc_")
    assert len(account.account_id) == 30
    assert (account.email, account.tier, account.created_at.seconds) == (EMAIL, "free", int(clock.now()))


async def test_sign_up_again_with_the_same_request_is_the_same_account(auth: Auth) -> None:
    """Ensures that a retry after a lost answer does not fail and opens nothing."""
    first = await auth.sign_up(request_id="r1")
    assert await auth.sign_up("ADA@example.org", request_id="r1") == first


async def test_the_same_sign_up_at_the_same_time_is_one_account(auth: Auth) -> None:
    """Ensures that a retry that overtakes its original gets the same account."""
    accounts = await asyncio.gather(*(auth.sign_up(request_id="r1") for _ in range(4)))
    assert len({account.account_id for account in accounts}) == 1


@pytest.mark.parametrize("other", [{"email": "bob@example.org"}, {"password": "another password"}])
async def test_a_request_id_used_for_something_else_is_refused(auth: Auth, other: dict[str, str]) -> None:
    """Ensures that a request id stands for one request only."""
    await auth.sign_up(request_id="r1")
    with pytest.raises(errors.RequestIdReused):
        await auth.sign_up(**{"email": EMAIL, "request_id": "r1", **other})


async def test_a_taken_address_is_refused_however_it_is_written(auth: Auth) -> None:
    """Ensures that one address has one account, also when two ask at once."""
    results = await asyncio.gather(
        *(auth.sign_up(email, request_id=email) for email in (EMAIL, "ADA@example.org", "Ada@Example.org")),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Account", "AccountExists", "AccountExists"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", ""),
        ("email", f"{'a' * 250}@example.org"),
        ("password", "seven77"),
        ("password", "x" * 257),
        ("request_id", ""),
        ("request_id", "r" * 65),
    ],
)
async def test_sign_up_names_the_field_at_fault(auth: Auth, field: str, value: str) -> None:
    """Ensures that the limits of the contract hold and the error says which field broke one, without its value."""
    request = pb.SignUpRequest(**{"request_id": "r", "email": EMAIL, "password": PASSWORD, field: value})
    with pytest.raises(errors.FieldInvalid) as refused:
        await calls.call(auth.accounts.SignUp, request)
    assert [violation.field for violation in refused.value.violations] == [field]
    assert not value or value not in refused.value.message


@pytest.mark.parametrize("password", ["12345678", "x" * 256, "pass\0word\n", "пароль пароль", "🔑" * 256])
async def test_any_password_within_the_limits_works_whole(auth: Auth, password: str) -> None:
    """Ensures that no character is refused and none is cut off."""
    await auth.sign_up(password=password)
    assert (await auth.sign_in(password=password)).access_token
    with pytest.raises(errors.CredentialInvalid):
        await auth.sign_in(password=password[:-1])


async def test_one_password_typed_on_two_keyboards_is_one(auth: Auth) -> None:
    """Ensures that composed and combining characters are the same password."""
    await auth.sign_up(password="Caf\u00e9 Caf\u00e9")
    assert (await auth.sign_in(password="Cafe\u0301 Cafe\u0301")).access_token


async def test_unknown_address_and_wrong_password_are_told_alike(auth: Auth) -> None:
    """Ensures that nobody learns who has an account: same error, and about the same time."""
    await auth.sign_up()

    async def refusal(email: str) -> tuple[float, tuple[object, ...]]:
        began = time.perf_counter()
        with pytest.raises(errors.CredentialInvalid) as refused:
            await auth.sign_in(email, "wrong password")
        return time.perf_counter() - began, (refused.value.message, refused.value.metadata)

    known = [await refusal(EMAIL) for _ in range(10)]
    unknown = [await refusal("eve@example.org") for _ in range(10)]
    assert known[0][1] == unknown[0][1]
    assert min(seconds for seconds, _ in unknown) > min(seconds for seconds, _ in known) / 2


async def test_get_account_is_the_callers_own(auth: Auth) -> None:
    """Ensures that a credential shows its own account and no other."""
    ada, bob = await auth.member(), await auth.member("bob@example.org")
    for tokens, email in ((ada, EMAIL), (bob, "bob@example.org")):
        found = await calls.call(auth.accounts.GetAccount, pb.GetAccountRequest(), metadata=bearer(tokens.access_token))
        assert found.account.email == email


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ((), errors.CredentialMissing),
        ((("authorization", "Basic YTpi"),), errors.CredentialInvalid),
        ((("authorization", "Bearer "),), errors.CredentialInvalid),
        ((("authorization", "Bearer " + "x" * 5000),), errors.CredentialInvalid),
        ((("authorization", "Bearer mzt_garbage"),), errors.CredentialInvalid),
    ],
)
async def test_without_a_good_credential_nothing_is_shown(
    auth: Auth, metadata: calls.Metadata, error: type[errors.MezzotintError]
) -> None:
    """Ensures that missing and malformed credentials are refused by name."""
    with pytest.raises(error):
        await calls.call(auth.accounts.GetAccount, pb.GetAccountRequest(), metadata=metadata)


async def test_changing_the_password_ends_the_other_sessions(auth: Auth) -> None:
    """Ensures that whoever knew the old password is out, and the caller stays in."""
    tokens = await auth.member()
    other = await auth.sign_in()
    request = pb.ChangePasswordRequest(old_password=PASSWORD, new_password="a new password")
    await calls.call(auth.accounts.ChangePassword, request, metadata=bearer(tokens.access_token))
    with pytest.raises(errors.CredentialRevoked):
        await auth.authenticate(other.access_token)
    with pytest.raises(errors.CredentialRevoked):
        await auth.refresh(other)
    with pytest.raises(errors.CredentialInvalid):
        await auth.sign_in()
    assert (await auth.authenticate(tokens.access_token)).principal.credential_id == tokens.session.session_id
    assert (await auth.refresh(tokens)).access_token
    assert (await auth.sign_in(password="a new password")).access_token


async def test_changing_the_password_needs_the_old_one(auth: Auth) -> None:
    """Ensures that a stolen session alone does not take the account over."""
    tokens = await auth.member()
    request = pb.ChangePasswordRequest(old_password="not the password", new_password="a new password")
    with pytest.raises(errors.CredentialInvalid):
        await calls.call(auth.accounts.ChangePassword, request, metadata=bearer(tokens.access_token))
    assert (await auth.sign_in()).access_token


async def test_of_two_changes_of_the_password_at_once_one_wins(auth: Auth) -> None:
    """Ensures that the second change, whose old password is no longer right, is refused."""
    tokens = await auth.member()
    results = await asyncio.gather(
        *(
            calls.call(
                auth.accounts.ChangePassword,
                pb.ChangePasswordRequest(old_password=PASSWORD, new_password=f"new password {number}"),
                metadata=bearer(tokens.access_token),
            )
            for number in range(2)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["ChangePasswordResponse", "CredentialInvalid"]


async def test_operators_set_tiers_and_nobody_else(auth: Auth) -> None:
    """Ensures that an operator moves an account, and neither the gateway nor its holder can."""
    tokens = await auth.member()
    request = pb.SetTierRequest(email="ADA@example.org", tier="pro")
    moved = await calls.call(auth.operator.SetTier, request)
    assert moved.account.tier == "pro"
    assert (await auth.authenticate(tokens.access_token)).principal.tier == "pro"
    for metadata in ((), bearer(tokens.access_token)):
        with pytest.raises(errors.CallerNotAllowed):
            await calls.call(auth.accounts.SetTier, request, metadata=metadata)


async def test_set_tier_names_what_is_unknown(auth: Auth) -> None:
    """Ensures that an unknown tier is answered with those there are, and an unknown address as such."""
    await auth.sign_up()
    with pytest.raises(errors.TierUnknown) as refused:
        await calls.call(auth.operator.SetTier, pb.SetTierRequest(email=EMAIL, tier="platinum"))
    assert refused.value.metadata["tiers"] == "free, plus, pro, enterprise"
    with pytest.raises(errors.AccountNotFound):
        await calls.call(auth.operator.SetTier, pb.SetTierRequest(email="eve@example.org", tier="pro"))
