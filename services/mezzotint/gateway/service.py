"""ImageService: decode, delegate, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from mezzotint.api.images.v1 import images_pb2, images_pb2_grpc
from mezzotint.gateway.gallery import Gallery
from mezzotint.gateway.generations import Generations
from mezzotint.runtime.interceptors.access import caller

Context = grpc.aio.ServicerContext[Any, Any]


class ImageService(images_pb2_grpc.ImageServiceServicer):
    """Everything here is the caller's own: the account comes from his credential, never from the request."""

    def __init__(self, generations: Generations, gallery: Gallery) -> None:
        self._generations = generations
        self._gallery = gallery

    async def GenerateImages(
        self, request: images_pb2.GenerateImagesRequest, context: Context
    ) -> AsyncIterator[images_pb2.GenerateImagesResponse]:
        """Draw pictures and stream how it goes; leaving the block, however that happens, is hanging up."""
        asked = await self._generations.asked(caller(), request)
        # With up to 16 MiB of pictures, and the call may be open for long.
        del request
        with self._generations.open(asked) as generation:
            async for event in generation.events():
                yield event

    async def GetGeneration(
        self, request: images_pb2.GetGenerationRequest, context: Context
    ) -> images_pb2.GetGenerationResponse:
        """One of the caller's generations."""
        generation = await self._gallery.generation(caller().account_id, request.generation_id)
        return images_pb2.GetGenerationResponse(generation=generation)

    async def ListGenerations(
        self, request: images_pb2.ListGenerationsRequest, context: Context
    ) -> images_pb2.ListGenerationsResponse:
        """The caller's generations, newest first."""
        return await self._gallery.generations(caller().account_id, request.page_size, request.page_token)

    async def CancelGeneration(
        self, request: images_pb2.CancelGenerationRequest, context: Context
    ) -> images_pb2.CancelGenerationResponse:
        """Cancel one of the caller's generations."""
        generation = await self._gallery.cancel(caller().account_id, request.generation_id)
        return images_pb2.CancelGenerationResponse(generation=generation)

    async def GetImage(self, request: images_pb2.GetImageRequest, context: Context) -> images_pb2.GetImageResponse:
        """One finished picture of the caller's."""
        image = await self._gallery.image(caller().account_id, request.generation_id, request.image_index)
        return images_pb2.GetImageResponse(image=image)
