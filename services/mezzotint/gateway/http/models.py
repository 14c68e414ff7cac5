"""GET /v1/models and /v1/models/{model}."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mezzotint.api.inference.v1 import inference_pb2
from mezzotint.gateway.http.errors import HttpError
from mezzotint.gateway.http.parts import Parts


def routes(parts: Parts) -> APIRouter:
    """The routes of models."""
    router = APIRouter(tags=["models"])

    @router.get("/v1/models", summary="The models that draw here")
    async def models(request: Request) -> Response:
        await parts.admit(request, "GetImage")
        found = await parts.catalogue.models()
        return JSONResponse({"object": "list", "data": [described(model) for model in found]})

    @router.get("/v1/models/{name}", summary="One model")
    async def model(request: Request, name: str) -> Response:
        await parts.admit(request, "GetImage")
        for found in await parts.catalogue.models():
            if found.name == name:
                return JSONResponse(described(found))
        raise HttpError(404, f"The model {name[:64]!r} does not exist here.", code="model_not_found", param="model")

    return router


def described(model: inference_pb2.Model) -> dict[str, Any]:
    """OpenAI's model object, with what this one draws besides."""
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "mezzotint",
        "version": model.version,
        "sizes": list(model.sizes),
        "steps_default": model.steps_default,
    }
