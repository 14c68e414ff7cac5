"""End users with an account and an API key, and what they ask of a running suite."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from mezzotint.api.auth.v1 import account_pb2, account_pb2_grpc
from mezzotint.api.images.v1 import images_pb2, images_pb2_grpc
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.runtime import calls, channel
from mezzotint.runtime.calls import Metadata

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """An account with its API key, and channels to the gateway."""

    account_id: str
    email: str
    key_id: str
    secret: str
    images: images_pb2_grpc.ImageServiceAsyncStub
    accounts: account_pb2_grpc.AccountServiceAsyncStub

    @property
    def metadata(self) -> Metadata:
        """What authenticates a call."""
        return (("authorization", f"Bearer {self.secret}"),)

    def generate(
        self, prompt: str, *, request_id: str = "", keep: bool = False, **spec: Any
    ) -> grpc.aio.UnaryStreamCall[images_pb2.GenerateImagesRequest, images_pb2.GenerateImagesResponse]:
        """Begin a generation; the events come by iterating over it."""
        request = images_pb2.GenerateImagesRequest(
            request_id=request_id,
            spec=generation_pb2.GenerationSpec(prompt=prompt, **spec),
            keep_on_disconnect=keep,
        )
        return self.images.GenerateImages(request, metadata=self.metadata)


async def sign_up(
    connection: grpc.aio.Channel, scopes: tuple[str, ...] = (), *, tier: tuple[str, grpc.aio.Channel] | None = None
) -> Person:
    """Open an account with a random address and make it an API key; `tier` moves it there by an operator's channel to auth."""
    accounts = account_pb2_grpc.AccountServiceStub(connection)
    email = f"{uuid.uuid4().hex[:12]}@example.org"
    opened = await calls.call(
        accounts.SignUp, account_pb2.SignUpRequest(request_id=uuid.uuid4().hex, email=email, password=PASSWORD)
    )
    signed = await calls.call(accounts.SignIn, account_pb2.SignInRequest(email=email, password=PASSWORD))
    session = (("authorization", f"Bearer {signed.tokens.access_token}"),)
    made = await calls.call(
        accounts.CreateApiKey, account_pb2.CreateApiKeyRequest(name="test", scopes=scopes), metadata=session
    )
    if tier:
        operator = account_pb2_grpc.AccountServiceStub(tier[1])
        await calls.call(operator.SetTier, account_pb2.SetTierRequest(email=email, tier=tier[0]))
    images = images_pb2_grpc.ImageServiceStub(connection)
    return Person(opened.account.account_id, email, made.api_key.key_id, made.secret, images, accounts)


@asynccontextmanager
async def gateway_channel(address: str, data: Path) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the gateway's public door."""
    async with channel.connect_public(address, "gateway", (data / "tls" / "ca.pem").read_bytes()) as connection:
        yield connection
