"""The client: pictures from a Mezzotint gateway, typed and asynchronous."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self, Unpack

import grpc

from mezzotint.api.images.v1 import images_pb2 as pb
from mezzotint.api.images.v1 import images_pb2_grpc
from mezzotint.runtime.calls import call
from mezzotint.runtime.channel import connect_public
from mezzotint.runtime.clock import new_id
from mezzotint_client import decoding
from mezzotint_client.accounts import Accounts
from mezzotint_client.events import Event, Picture
from mezzotint_client.options import Options, spec
from mezzotint_client.records import Generation
from mezzotint_client.rejoining import responses

DEFAULT_ADDRESS = "127.0.0.1:7400"
PAGE_SIZE = 50


class Client:
    """A connection to a gateway. Use `async with Client.connect(...) as client`.

    Calls raise the classes of mezzotint.runtime.errors that the server raised, one a reason of the contract, and
    DependencyUnavailable when no server answers.
    """

    def __init__(self, channel: grpc.aio.Channel, credential: str = "") -> None:
        self._channel = channel
        self._stub = images_pb2_grpc.ImageServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {credential}"),) if credential else ()
        self.accounts = Accounts(channel, credential)

    @classmethod
    def connect(cls, address: str = DEFAULT_ADDRESS, *, authority_pem: bytes, credential: str = "") -> Self:
        """A client of the gateway at `address`, whose certificate must come from the authority.

        `credential` is an API key or an access token; without one, only signing up and in work.
        """
        return cls(connect_public(address, "gateway", authority_pem), credential)

    def with_credential(self, credential: str) -> "Client":
        """A client that speaks for another credential over the same connection; closing either closes both."""
        return type(self)(self._channel, credential)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    async def generate(
        self,
        prompt: str,
        *,
        request_id: str = "",
        keep_on_disconnect: bool = False,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> AsyncGenerator[Event, None]:
        """Draw pictures and tell how it goes, ending with Finished. Closing the iterator cancels the generation.

        A call with the `request_id` of an earlier one joins that one's generation. With `keep_on_disconnect` the server goes on
        when nobody listens. `timeout` is in seconds for the whole of it. When the connection breaks on the way, the client
        joins its generation again and repeats nothing that it told.
        """
        # Not on the event loop: it may read files.
        asked = await asyncio.to_thread(spec, prompt, **options)
        request = pb.GenerateImagesRequest(
            request_id=request_id or new_id("req"), spec=asked, keep_on_disconnect=keep_on_disconnect
        )
        async with aclosing(responses(self._stub.GenerateImages, request, self._metadata, timeout)) as messages:
            async for message in messages:
                event = decoding.event(message)
                if event is not None:
                    yield event

    async def draw(self, prompt: str, **options: Unpack[Options]) -> list[Picture]:
        """The pictures of a prompt, in order, once all are finished."""
        async with aclosing(self.generate(prompt, **options)) as events:
            pictures = [event async for event in events if isinstance(event, Picture)]
        return sorted(pictures, key=lambda picture: picture.index)

    async def get_generation(self, generation_id: str) -> Generation:
        """One of the account's generations as it stands."""
        request = pb.GetGenerationRequest(generation_id=generation_id)
        response = await call(self._stub.GetGeneration, request, metadata=self._metadata)
        return decoding.generation(response.generation)

    async def list_generations(self, *, count_max: int = PAGE_SIZE) -> list[Generation]:
        """The account's latest generations, newest first, without their pictures."""
        found: list[Generation] = []
        request = pb.ListGenerationsRequest(page_size=min(PAGE_SIZE, count_max))
        while True:
            response = await call(self._stub.ListGenerations, request, metadata=self._metadata)
            found += [decoding.generation(each) for each in response.generations]
            request.page_token = response.next_page_token
            if not request.page_token or len(found) >= count_max:
                return found[:count_max]

    async def cancel_generation(self, generation_id: str) -> Generation:
        """Cancel one of the account's generations; its slot is free at the next denoising step."""
        request = pb.CancelGenerationRequest(generation_id=generation_id)
        response = await call(self._stub.CancelGeneration, request, metadata=self._metadata)
        return decoding.generation(response.generation)

    async def get_image(self, generation_id: str, index: int = 0) -> Picture:
        """One finished picture."""
        request = pb.GetImageRequest(generation_id=generation_id, image_index=index)
        response = await call(self._stub.GetImage, request, metadata=self._metadata)
        return decoding.picture(response.image)
