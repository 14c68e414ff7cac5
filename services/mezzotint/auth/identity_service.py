"""IdentityService: who is calling, for services that hold a caller's credential."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from mezzotint.api.auth.v1 import identity_pb2 as pb
from mezzotint.api.auth.v1 import identity_pb2_grpc
from mezzotint.auth.authentication import Authenticator
from mezzotint.auth.messages import answer_message, update_message
from mezzotint.auth.revocations import RevocationLog
from mezzotint.auth.tokens import AccessTokens


class IdentityService(identity_pb2_grpc.IdentityServiceServicer):
    """All of IdentityService."""

    def __init__(
        self, authenticator: Authenticator, access: AccessTokens, revocations: RevocationLog, draining: asyncio.Event
    ) -> None:
        self._authenticator = authenticator
        self._access = access
        self._revocations = revocations
        self._draining = draining

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Any) -> pb.AuthenticateResponse:
        """Whose the credential is."""
        return answer_message(await self._authenticator.authenticate(request.credential))

    async def GetSigningKeys(self, request: pb.GetSigningKeysRequest, context: Any) -> pb.GetSigningKeysResponse:
        """The public keys."""
        keys = self._access.public_keys()
        return pb.GetSigningKeysResponse(keys=[pb.SigningKey(kid=kid, jwk_json=jwk) for kid, jwk in keys.items()])

    async def WatchRevocations(
        self, request: pb.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[pb.WatchRevocationsResponse]:
        """Everything withdrawn from now on."""
        async with aclosing(self._revocations.watch(request.after_sequence, self._draining)) as updates:
            async for update in updates:
                yield update_message(update)
