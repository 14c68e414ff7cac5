"""The auth service, running, with what a test asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import account_pb2_grpc, identity_pb2, identity_pb2_grpc
from mezzotint.auth import app
from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime import calls
from mezzotint.runtime.calls import Metadata
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.tls import Authority
from tests.support.serving import connect, serving

PASSWORD = "correct horse battery"
EMAIL = "ada@example.org"
ALL_SCOPES = ["account:manage", "account:read", "images:generate", "images:read", "keys:manage"]


@dataclass(frozen=True)
class Auth:
    """A running service, spoken to by the gateway and by an operator."""

    port: int
    channel: grpc.aio.Channel
    accounts: account_pb2_grpc.AccountServiceAsyncStub
    identity: identity_pb2_grpc.IdentityServiceAsyncStub
    operator: account_pb2_grpc.AccountServiceAsyncStub

    async def sign_up(self, email: str = EMAIL, *, request_id: str = "", password: str = PASSWORD) -> pb.Account:
        """Open an account."""
        request = pb.SignUpRequest(request_id=request_id or email, email=email, password=password)
        return (await calls.call(self.accounts.SignUp, request)).account

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> pb.SessionTokens:
        """Open a session."""
        return (await calls.call(self.accounts.SignIn, pb.SignInRequest(email=email, password=password))).tokens

    async def refresh(self, tokens: pb.SessionTokens) -> pb.SessionTokens:
        """The next tokens of a session."""
        request = pb.RefreshSessionRequest(refresh_token=tokens.refresh_token)
        return (await calls.call(self.accounts.RefreshSession, request)).tokens

    async def member(self, email: str = EMAIL) -> pb.SessionTokens:
        """A new account, signed in."""
        await self.sign_up(email)
        return await self.sign_in(email)

    async def create_key(self, credential: str, *, name: str = "laptop", **fields: object) -> pb.CreateApiKeyResponse:
        """Make an API key; `credential` is the caller's."""
        request = pb.CreateApiKeyRequest(name=name, **fields)  # type: ignore[arg-type]  # fields of the request
        return await calls.call(self.accounts.CreateApiKey, request, metadata=bearer(credential))

    async def revoke_key(self, credential: str, key_id: str) -> None:
        """Withdraw an API key; `credential` is the caller's."""
        await calls.call(self.accounts.RevokeApiKey, pb.RevokeApiKeyRequest(key_id=key_id), metadata=bearer(credential))

    async def authenticate(self, credential: str) -> identity_pb2.AuthenticateResponse:
        """Whose a credential is."""
        return await calls.call(self.identity.Authenticate, identity_pb2.AuthenticateRequest(credential=credential))

    def watch(self, after: int = 0) -> AsyncIterator[identity_pb2.WatchRevocationsResponse]:
        """The revocations since a sequence."""
        return calls.stream(self.identity.WatchRevocations, identity_pb2.WatchRevocationsRequest(after_sequence=after))


def bearer(credential: str) -> Metadata:
    """What authenticates an end user's call."""
    return (("authorization", f"Bearer {credential}"),)


@asynccontextmanager
async def serving_auth(settings: AuthSettings, authority: Authority, clock: Clock) -> AsyncIterator[Auth]:
    """Run the service until the block ends."""

    async def run(own: AuthSettings, stop: asyncio.Event, started: Callable[[int], None]) -> None:
        await app.run(own, stop, started, clock=clock)

    async with serving(run, settings) as port, speaking(authority, port) as auth:
        yield auth


@asynccontextmanager
async def speaking(authority: Authority, port: int) -> AsyncIterator[Auth]:
    """Speak to a service that runs on a port of this machine."""
    async with (
        connect(authority, port, "auth", identity="gateway") as gateway,
        connect(authority, port, "auth", identity="operator") as operator,
    ):
        yield Auth(
            port,
            gateway,
            account_pb2_grpc.AccountServiceStub(gateway),
            identity_pb2_grpc.IdentityServiceStub(gateway),
            account_pb2_grpc.AccountServiceStub(operator),
        )
