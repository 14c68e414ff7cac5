"""GRPCInferenceService on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.metadata import version
from typing import Any

import grpc

from mezzotint.api.open_inference import (
    model_config_pb2,
    model_repository_pb2,
    model_statistics_pb2,
    open_inference_pb2,
    tensors_pb2,
)
from mezzotint.inference.open_inference import answers as tell
from mezzotint.inference.open_inference import stream as open_inference_stream
from mezzotint.inference.open_inference.infer import OpenInference
from mezzotint.inference.open_inference.unserved_service import UnservedServicer
from mezzotint.inference.tensors.repository import Indexed, TensorRepository
from mezzotint.inference.tensors.telling import quoted
from mezzotint.runtime.errors import FieldInvalid

Context = grpc.aio.ServicerContext[Any, Any]
EXTENSIONS = ("model_configuration", "model_repository", "parameters", "schedule_policy", "statistics")
READY, UNAVAILABLE = "READY", "UNAVAILABLE"


class OpenInferenceServicer(UnservedServicer):
    """See mezzotint/api/open_inference/open_inference.proto."""

    def __init__(self, repository: TensorRepository, inference: OpenInference, draining: asyncio.Event) -> None:
        self._repository = repository
        self._inference = inference
        self._draining = draining

    async def ServerLive(
        self, request: open_inference_pb2.ServerLiveRequest, context: Context
    ) -> open_inference_pb2.ServerLiveResponse:
        """Yes."""
        return open_inference_pb2.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: open_inference_pb2.ServerReadyRequest, context: Context
    ) -> open_inference_pb2.ServerReadyResponse:
        """All models are loaded or refused."""
        return open_inference_pb2.ServerReadyResponse(ready=self._repository.ready and not self._draining.is_set())

    async def ModelReady(
        self, request: open_inference_pb2.ModelReadyRequest, context: Context
    ) -> open_inference_pb2.ModelReadyResponse:
        """A version is loaded."""
        return open_inference_pb2.ModelReadyResponse(ready=self._repository.has(request.name, request.version))

    async def ServerMetadata(
        self, request: open_inference_pb2.ServerMetadataRequest, context: Context
    ) -> open_inference_pb2.ServerMetadataResponse:
        """Who answers."""
        return open_inference_pb2.ServerMetadataResponse(name="mezzotint", version=version("mezzotint"), extensions=EXTENSIONS)

    async def ModelMetadata(
        self, request: open_inference_pb2.ModelMetadataRequest, context: Context
    ) -> open_inference_pb2.ModelMetadataResponse:
        """Inputs and outputs."""
        runner = self._repository.runner(request.name, request.version)
        return tell.metadata(runner.model, [each.model.version for each in self._repository.runners(request.name)])

    async def ModelInfer(self, request: tensors_pb2.ModelInferRequest, context: Context) -> tensors_pb2.ModelInferResponse:
        """Runs a model."""
        answer = await self._inference.infer(request)
        # One that is large is sent as fast as its caller takes it.
        context.add_done_callback(lambda _: answer.place.give_back())  # type: ignore[arg-type]  # the stubs want a class of theirs
        return answer.response

    async def ModelStreamInfer(
        self, requests: AsyncIterator[tensors_pb2.ModelInferRequest], context: Context
    ) -> AsyncIterator[tensors_pb2.ModelStreamInferResponse]:
        """Runs a model for each request."""
        async with aclosing(open_inference_stream.answers(requests, self._inference.infer, self._draining)) as answers:
            async for answer in answers:
                yield answer

    async def ModelConfig(
        self, request: model_config_pb2.ModelConfigRequest, context: Context
    ) -> model_config_pb2.ModelConfigResponse:
        """Settings."""
        model = self._repository.runner(request.name, request.version).model
        return model_config_pb2.ModelConfigResponse(config=tell.configuration(model))

    async def ModelStatistics(
        self, request: model_statistics_pb2.ModelStatisticsRequest, context: Context
    ) -> model_statistics_pb2.ModelStatisticsResponse:
        """Counts and times."""
        runners = self._repository.runners(request.name, request.version)
        return model_statistics_pb2.ModelStatisticsResponse(model_stats=[tell.statistics(each) for each in runners])

    async def RepositoryIndex(
        self, request: model_repository_pb2.RepositoryIndexRequest, context: Context
    ) -> model_repository_pb2.RepositoryIndexResponse:
        """Everything in the folder."""
        check_repository(request.repository_name)
        found = [index_of(each) for each in await self._repository.index() if not (request.ready and each.reason)]
        return model_repository_pb2.RepositoryIndexResponse(models=found)

    async def RepositoryModelLoad(
        self, request: model_repository_pb2.RepositoryModelLoadRequest, context: Context
    ) -> model_repository_pb2.RepositoryModelLoadResponse:
        """Loads a model, again if it is loaded."""
        check_repository(request.repository_name)
        check_parameters(sorted(request.parameters))
        await self._repository.load(request.model_name)
        return model_repository_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: model_repository_pb2.RepositoryModelUnloadRequest, context: Context
    ) -> model_repository_pb2.RepositoryModelUnloadResponse:
        """Unloads a model."""
        check_repository(request.repository_name)
        await self._repository.unload(request.model_name)
        return model_repository_pb2.RepositoryModelUnloadResponse()


def index_of(indexed: Indexed) -> model_repository_pb2.RepositoryIndexResponse.ModelIndex:
    """A version as it travels."""
    return model_repository_pb2.RepositoryIndexResponse.ModelIndex(
        name=indexed.name,
        version=str(indexed.version or ""),
        state=UNAVAILABLE if indexed.reason else READY,
        reason=indexed.reason,
    )


def check_repository(name: str) -> None:
    """Raise FieldInvalid for a repository that is not there."""
    if name:
        raise FieldInvalid.of("repository_name", f"this server has one repository, without a name; {quoted(name)} came")


def check_parameters(names: list[str]) -> None:
    """Raise FieldInvalid for a parameter, which would change how the model is loaded."""
    if names:
        raise FieldInvalid.of(
            "parameters", f"{quoted(names[0])} is not served; put the model and its model.yaml into the repository"
        )
