"""POST /v1/images/generations and GET /v1/images/{generation_id}/{index}."""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mezzotint.api.images.v1 import images_pb2
from mezzotint.gateway.asked import Asked
from mezzotint.gateway.http import wire
from mezzotint.gateway.http.connection import read_body, while_connected
from mezzotint.gateway.http.errors import HttpError
from mezzotint.gateway.http.limits import headers_of
from mezzotint.gateway.http.parts import Parts
from mezzotint.gateway.http.schema import ImageRequest, parsed, spec_of
from mezzotint.gateway.http.stream import EventStream
from mezzotint.gateway.http.waiting import seconds_to_wait, too_slow
from mezzotint.runtime.errors import ImageNotFound
from mezzotint.runtime.interceptors.validation import validate

IDEMPOTENCY_KEY = "idempotency-key"
BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": ImageRequest.model_json_schema()}}}
}


def routes(parts: Parts) -> APIRouter:
    """The routes of pictures."""
    router = APIRouter(tags=["images"])

    @router.post("/v1/images/generations", summary="Draw pictures", openapi_extra=BODY_SCHEMA)
    async def generate(request: Request) -> Response:
        caller = await parts.admit(request, "GenerateImages")
        asked = parsed(await read_body(request))
        message = images_pb2.GenerateImagesRequest(request_id=request.headers.get(IDEMPOTENCY_KEY, ""), spec=spec_of(asked))
        validate(message)
        wanted = await parts.generations.asked(caller, message)
        if asked.stream:
            return EventStream(parts, asked, wanted)
        return await while_connected(request.receive, whole(parts, request, asked, wanted))

    @router.get("/v1/images/{generation_id}/{index}", summary="One finished picture")
    async def image(request: Request, generation_id: str, index: str) -> Response:
        caller = await parts.admit(request, "GetImage")
        if not (index.isascii() and index.isdigit() and len(index) <= 2):
            raise ImageNotFound(f"a picture is named by its index, from 0; {index[:32]!r} is none")
        found = await parts.gallery.image(caller.account_id, generation_id[:64], int(index))
        headers = {"cache-control": "private, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return Response(found.data, media_type=wire.MEDIA_TYPES.get(found.ref.format, "image/png"), headers=headers)

    @router.api_route("/v1/images/{operation}", methods=["POST"], include_in_schema=False)
    async def unknown(operation: str) -> Response:
        raise HttpError(
            404, f"/v1/images/{operation} is not served here; generations, edits and variations are.", code="unknown_url"
        )

    return router


async def whole(parts: Parts, request: Request, asked: ImageRequest, wanted: Asked) -> Response:
    """All pictures in one answer."""
    images, finished = [], images_pb2.Finished()
    seconds = seconds_to_wait(request, parts.settings)
    with parts.generations.open(wanted) as generation:
        try:
            async with asyncio.timeout(seconds):
                async for event in generation.events():
                    if event.HasField("image"):
                        images.append(event.image)
                    if event.HasField("finished"):
                        finished = event.finished
        except TimeoutError:
            raise too_slow(seconds) from None
        finally:
            request.state.limits = generation.limits
    base = parts.settings.public_url or str(request.base_url)
    links = [f"{base.rstrip('/')}/v1/images/{generation.job_id}/{image.image_index}" for image in images]
    body = wire.images_response(
        asked, images, finished.steps, created=int(parts.clock.now()), urls=links if asked.response_format == "url" else ()
    )
    return JSONResponse(body, headers=headers_of(generation.limits))
