"""Accounts, sessions and API keys, over the contract's AccountService."""

from datetime import datetime

import grpc
from google.protobuf import timestamp_pb2

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import account_pb2_grpc
from mezzotint.runtime.calls import call
from mezzotint.runtime.clock import new_id
from mezzotint_client import decoding
from mezzotint_client.records import Account, ApiKey, NewApiKey, Session

PAGE_SIZE = 100
# Signing up and in hash a password, in a queue with everybody else's.
PASSWORD_SECONDS_MAX = 30.0


class Accounts:
    """What the holder of a credential does with an account. Methods raise what the contract names for their RPCs."""

    def __init__(self, channel: grpc.aio.Channel, credential: str) -> None:
        self._stub = account_pb2_grpc.AccountServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {credential}"),) if credential else ()

    async def sign_up(self, email: str, password: str, *, request_id: str = "") -> Account:
        """Open an account. The same request id gives the same account again."""
        request = pb.SignUpRequest(request_id=request_id or new_id("req"), email=email, password=password)
        response = await call(self._stub.SignUp, request, timeout=PASSWORD_SECONDS_MAX)
        return decoding.account(response.account)

    async def sign_in(self, email: str, password: str) -> Session:
        """Exchange a password for a session; its access token is a credential with every scope."""
        request = pb.SignInRequest(email=email, password=password)
        response = await call(self._stub.SignIn, request, timeout=PASSWORD_SECONDS_MAX)
        return decoding.session(response.tokens)

    async def refresh(self, refresh_token: str) -> Session:
        """Exchange a refresh token for new tokens of the same session. It works once."""
        response = await call(self._stub.RefreshSession, pb.RefreshSessionRequest(refresh_token=refresh_token))
        return decoding.session(response.tokens)

    async def sign_out(self) -> None:
        """End the session whose access token is this client's credential."""
        await call(self._stub.SignOut, pb.SignOutRequest(), metadata=self._metadata)

    async def get_account(self) -> Account:
        """The account whose credential this is."""
        response = await call(self._stub.GetAccount, pb.GetAccountRequest(), metadata=self._metadata)
        return decoding.account(response.account)

    async def create_api_key(self, name: str, scopes: tuple[str, ...] = (), *, expires_at: datetime | None = None) -> NewApiKey:
        """Make an API key. Without `scopes` it may generate and read pictures and read the account."""
        request = pb.CreateApiKeyRequest(name=name, scopes=scopes)
        if expires_at is not None:
            request.expires_at.CopyFrom(timestamp_pb2.Timestamp(seconds=round(expires_at.timestamp())))
        response = await call(self._stub.CreateApiKey, request, metadata=self._metadata)
        return NewApiKey(decoding.api_key(response.api_key), response.secret)

    async def list_api_keys(self) -> list[ApiKey]:
        """Every key of the account, revoked ones included, newest first."""
        keys: list[ApiKey] = []
        request = pb.ListApiKeysRequest(page_size=PAGE_SIZE)
        while True:
            response = await call(self._stub.ListApiKeys, request, metadata=self._metadata)
            keys += [decoding.api_key(each) for each in response.api_keys]
            request.page_token = response.next_page_token
            if not request.page_token:
                return keys

    async def rotate_api_key(self, key_id: str) -> NewApiKey:
        """Replace a key's secret; the old one stops working at once."""
        response = await call(self._stub.RotateApiKey, pb.RotateApiKeyRequest(key_id=key_id), metadata=self._metadata)
        return NewApiKey(decoding.api_key(response.api_key), response.secret)

    async def revoke_api_key(self, key_id: str) -> None:
        """Withdraw a key for good."""
        await call(self._stub.RevokeApiKey, pb.RevokeApiKeyRequest(key_id=key_id), metadata=self._metadata)
