"""auth's IdentityService, as the verifier asks it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mezzotint.api.auth.v1 import identity_pb2, identity_pb2_grpc
from mezzotint.gateway.peers import Peer
from mezzotint.runtime.channel import Channel

# Checking a credential is quick; a caller waits for it before anything else.
AUTHENTICATE_SECONDS_MAX = 5.0


class Identities:
    """Whose a credential is, and which ones were withdrawn."""

    def __init__(self, channel: Channel) -> None:
        self._peer = Peer("auth", channel)
        self._stub = identity_pb2_grpc.IdentityServiceStub(channel)

    async def authenticate(self, request: identity_pb2.AuthenticateRequest) -> identity_pb2.AuthenticateResponse:
        """The credential's holder. Raises CredentialInvalid, CredentialExpired, CredentialRevoked, DependencyUnavailable."""
        return await self._peer.call(self._stub.Authenticate, request, timeout=AUTHENTICATE_SECONDS_MAX)

    def watch(
        self, request: identity_pb2.WatchRevocationsRequest
    ) -> AsyncGenerator[identity_pb2.WatchRevocationsResponse, None]:
        """The stream of revocations. Raises DependencyUnavailable when it breaks."""
        return self._peer.stream(self._stub.WatchRevocations, request)
