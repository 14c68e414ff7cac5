"""AccountService at the public door, with the real auth behind it."""

from __future__ import annotations

import uuid

import grpc
import pytest

from mezzotint.api.auth.v1 import account_pb2, account_pb2_grpc
from mezzotint.runtime import calls, errors
from tests.gateway.suite import Suite
from tests.support.people import PASSWORD, Person, sign_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_account_is_looked_after_at_the_public_door(person: Person) -> None:
    """Ensures that a person reaches what is theirs with their own credential, and that answers come back whole."""
    request = account_pb2.GetAccountRequest()
    found = (await calls.call(person.accounts.GetAccount, request, metadata=person.metadata)).account
    assert (found.account_id, found.email, found.tier) == (person.account_id, person.email, "free")
    signed = await calls.call(person.accounts.SignIn, account_pb2.SignInRequest(email=person.email, password=PASSWORD))
    session = (("authorization", f"Bearer {signed.tokens.access_token}"),)
    listed = await calls.call(person.accounts.ListApiKeys, account_pb2.ListApiKeysRequest(), metadata=session)
    assert [key.key_id for key in listed.api_keys] == [person.key_id]


async def test_auths_refusals_come_through_as_they_are(person: Person) -> None:
    """Ensures that reasons and details survive the way through."""
    with pytest.raises(errors.CredentialInvalid):
        await calls.call(person.accounts.SignIn, account_pb2.SignInRequest(email=person.email, password="wrong password"))
    again = account_pb2.SignUpRequest(request_id=uuid.uuid4().hex, email=person.email, password=PASSWORD)
    with pytest.raises(errors.AccountExists):
        await calls.call(person.accounts.SignUp, again)
    with pytest.raises(errors.FieldInvalid) as caught:
        await calls.call(person.accounts.SignUp, account_pb2.SignUpRequest(request_id="r", email="none", password="short"))
    assert {violation.field for violation in caught.value.violations} == {"email", "password"}


async def test_what_needs_a_credential_or_scope_needs_it_here(person: Person, channel: grpc.aio.Channel) -> None:
    """Ensures that the door asks for what the contract asks for."""
    with pytest.raises(errors.CredentialMissing):
        await calls.call(person.accounts.GetAccount, account_pb2.GetAccountRequest())
    looker = await sign_up(channel, ("images:read",))
    with pytest.raises(errors.ScopeMissing):
        await calls.call(looker.accounts.ListApiKeys, account_pb2.ListApiKeysRequest(), metadata=looker.metadata)


async def test_nobody_changes_a_tier_through_the_public_door(suite: Suite, person: Person) -> None:
    """Ensures that what operators may do is not lent to end users, by no credential, nor to the gateway itself at auth."""
    request = account_pb2.SetTierRequest(email=person.email, tier="enterprise")
    for metadata in ((), person.metadata):
        with pytest.raises(errors.CallerNotAllowed):
            await calls.call(person.accounts.SetTier, request, metadata=metadata)
    async with suite.connect("auth", "gateway") as channel:
        with pytest.raises(errors.CallerNotAllowed):
            await calls.call(account_pb2_grpc.AccountServiceStub(channel).SetTier, request)
