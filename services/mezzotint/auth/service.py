"""AccountService: what people do with their accounts, sessions and API keys."""

from __future__ import annotations

from typing import Any

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import account_pb2_grpc
from mezzotint.auth.accounts import Accounts
from mezzotint.auth.api_keys import ApiKeys
from mezzotint.auth.messages import account_message, api_key_message, session_message, tokens_message
from mezzotint.auth.sessions import Sessions
from mezzotint.auth.times import seconds_of
from mezzotint.runtime.interceptors.access import caller


class AccountService(account_pb2_grpc.AccountServiceServicer):
    """All of AccountService."""

    def __init__(self, accounts: Accounts, sessions: Sessions, keys: ApiKeys) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._keys = keys

    async def SignUp(self, request: pb.SignUpRequest, context: Any) -> pb.SignUpResponse:
        """Open an account."""
        account = await self._accounts.sign_up(request_id=request.request_id, email=request.email, password=request.password)
        return pb.SignUpResponse(account=account_message(account))

    async def SignIn(self, request: pb.SignInRequest, context: Any) -> pb.SignInResponse:
        """Open a session."""
        tokens = await self._sessions.sign_in(email=request.email, password=request.password)
        return pb.SignInResponse(tokens=tokens_message(tokens))

    async def RefreshSession(self, request: pb.RefreshSessionRequest, context: Any) -> pb.RefreshSessionResponse:
        """New tokens for a refresh token."""
        return pb.RefreshSessionResponse(tokens=tokens_message(await self._sessions.refresh(request.refresh_token)))

    async def SignOut(self, request: pb.SignOutRequest, context: Any) -> pb.SignOutResponse:
        """End the caller's session."""
        await self._sessions.sign_out(caller())
        return pb.SignOutResponse()

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        """A page of the caller's sessions."""
        sessions, token = await self._sessions.page(caller().account_id, size=request.page_size, token=request.page_token)
        return pb.ListSessionsResponse(sessions=map(session_message, sessions), next_page_token=token)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, context: Any) -> pb.RevokeSessionResponse:
        """End one of the caller's sessions."""
        await self._sessions.revoke(caller().account_id, request.session_id)
        return pb.RevokeSessionResponse()

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Any) -> pb.ChangePasswordResponse:
        """Set a new password."""
        holder = caller()
        await self._accounts.change_password(
            holder.account_id, holder.credential_id, old=request.old_password, new=request.new_password
        )
        return pb.ChangePasswordResponse()

    async def GetAccount(self, request: pb.GetAccountRequest, context: Any) -> pb.GetAccountResponse:
        """The caller's account."""
        return pb.GetAccountResponse(account=account_message(await self._accounts.get(caller().account_id)))

    async def SetTier(self, request: pb.SetTierRequest, context: Any) -> pb.SetTierResponse:
        """Move an account to another tier."""
        return pb.SetTierResponse(
            account=account_message(await self._accounts.set_tier(email=request.email, tier=request.tier))
        )

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Any) -> pb.CreateApiKeyResponse:
        """Make a key."""
        expires_at = seconds_of("expires_at", request.expires_at) if request.HasField("expires_at") else None
        key, secret = await self._keys.create(caller(), name=request.name, wanted=request.scopes, expires_at=expires_at)
        return pb.CreateApiKeyResponse(api_key=api_key_message(key), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Any) -> pb.ListApiKeysResponse:
        """A page of the caller's keys."""
        keys, token = await self._keys.page(caller().account_id, size=request.page_size, token=request.page_token)
        return pb.ListApiKeysResponse(api_keys=map(api_key_message, keys), next_page_token=token)

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Any) -> pb.RotateApiKeyResponse:
        """Replace a key."""
        key, secret = await self._keys.rotate(caller(), request.key_id)
        return pb.RotateApiKeyResponse(api_key=api_key_message(key), secret=secret)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Any) -> pb.RevokeApiKeyResponse:
        """Withdraw a key."""
        await self._keys.revoke(caller().account_id, request.key_id)
        return pb.RevokeApiKeyResponse()
