"""InferenceService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import grpc

from mezzotint.api.inference.v1 import inference_pb2, inference_pb2_grpc
from mezzotint.inference.models import listing
from mezzotint.inference.models.repository import Listed, Repository
from mezzotint.inference.pictures.events import Drawn, Event, Progress
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.pictures.request import scheduler_of

Context = grpc.aio.ServicerContext[Any, Any]


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """See mezzotint/api/inference/v1/inference.proto."""

    def __init__(self, painter: Painter, repository: Repository) -> None:
        self._painter = painter
        self._repository = repository

    async def Generate(
        self, request: inference_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[inference_pb2.GenerateResponse]:
        """Draws pictures at once; the end of the call, whatever it is, ends the drawing."""
        painting = self._painter.paint(request.spec)
        # With up to 16 MiB of pictures in it, of which the painting has a copy for as long as it needs them.
        del request
        with closing(painting):
            # A call that is cancelled while a response is on its way does not reach the handler.
            context.add_done_callback(lambda _: painting.close())  # type: ignore[arg-type]  # the stubs want a class of theirs
            async for event in painting:
                yield response_of(event)

    async def ListModels(self, request: inference_pb2.ListModelsRequest, context: Context) -> inference_pb2.ListModelsResponse:
        """The models of the folder, page by page."""
        models = {each.name: each for each in await self._repository.listed()}
        names, following = listing.page(list(models), request.page_size, request.page_token)
        return inference_pb2.ListModelsResponse(models=[model_of(models[name]) for name in names], next_page_token=following)

    async def LoadModel(self, request: inference_pb2.LoadModelRequest, context: Context) -> inference_pb2.LoadModelResponse:
        """Loads a model."""
        return inference_pb2.LoadModelResponse(model=model_of(await self._repository.load(request.name)))

    async def UnloadModel(
        self, request: inference_pb2.UnloadModelRequest, context: Context
    ) -> inference_pb2.UnloadModelResponse:
        """Unloads a model."""
        await self._repository.unload(request.name)
        return inference_pb2.UnloadModelResponse()


def response_of(event: Event) -> inference_pb2.GenerateResponse:
    """An event as it travels."""
    if isinstance(event, Progress):
        progress = inference_pb2.GenerationProgress(
            image_index=event.image_index, step=event.step, steps=event.steps, preview=event.preview
        )
        return inference_pb2.GenerateResponse(progress=progress)
    if isinstance(event, Drawn):
        image = inference_pb2.GeneratedImage(image_index=event.image_index, data=event.data, ref=event.ref)
        return inference_pb2.GenerateResponse(image=image)
    return inference_pb2.GenerateResponse(started=inference_pb2.GenerationStarted(spec=event.spec))


def model_of(listed: Listed) -> inference_pb2.Model:
    """A model as it travels; of a folder that cannot be read as one, only the name."""
    model = inference_pb2.Model(name=listed.name, loaded=listed.loaded)
    if listed.card is not None:
        model.version, model.steps_default = listed.card.version, listed.card.steps_default
        model.guidance_default = listed.card.guidance_default
        model.sizes.extend(listed.card.sizes)
        model.takes_images = listed.card.takes_images
        if whole := listed.card.size_range:
            model.size_range.CopyFrom(inference_pb2.SizeRange(**whole.model_dump()))
        model.schedulers.extend(scheduler_of(sampler) for sampler in listed.card.samplers)
    return model
