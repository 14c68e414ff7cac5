"""POST /v1/images/edits and /v1/images/variations: forms with a picture, and perhaps a mask."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from mezzotint.api.images.v1 import images_pb2
from mezzotint.gateway.http.connection import in_time, limited, while_connected
from mezzotint.gateway.http.edit_schema import EditRequest, VariationRequest, asked_in
from mezzotint.gateway.http.errors import HttpError
from mezzotint.gateway.http.form_room import FormRoom
from mezzotint.gateway.http.images import IDEMPOTENCY_KEY, whole
from mezzotint.gateway.http.parts import Parts
from mezzotint.gateway.http.stream import EventStream
from mezzotint.runtime.errors import StorageFull
from mezzotint.runtime.interceptors.validation import validate

# Two pictures of 8 MiB, as the contract has it, and what stands around them.
FORM_BYTES_MAX = 17 * 1024 * 1024
FORM_SECONDS_MAX = 120.0
FIELDS_MAX, FIELD_BYTES_MAX = 32, 64 * 1024
# One more than may be used, so that a second image is refused by its name.
FILES_MAX = 3


def routes(parts: Parts) -> APIRouter:
    """The routes of pictures made from pictures."""
    router = APIRouter(tags=["images"])
    room = FormRoom()

    async def draw(request: Request, kind: type[EditRequest]) -> Response:
        caller = await parts.admit(request, "GenerateImages")
        async with form_of(request, room, caller.account_id) as form:
            asked, spec = await asked_in(form, kind)
        message = images_pb2.GenerateImagesRequest(request_id=request.headers.get(IDEMPOTENCY_KEY, ""), spec=spec)
        validate(message)
        wanted = await parts.generations.asked(caller, message)
        # With the pictures' bytes, which are not to lie in memory until new ones are drawn.
        del spec, message
        if asked.stream:
            return EventStream(parts, asked, wanted)
        return await while_connected(request.receive, whole(parts, request, asked, wanted))

    @router.post(
        "/v1/images/edits", summary="Draw a picture anew, whole or in part", openapi_extra=body_of(EditRequest, "mask")
    )
    async def edit(request: Request) -> Response:
        return await draw(request, EditRequest)

    @router.post("/v1/images/variations", summary="Draw variations of a picture", openapi_extra=body_of(VariationRequest))
    async def vary(request: Request) -> Response:
        return await draw(request, VariationRequest)

    return router


@asynccontextmanager
async def form_of(request: Request, room: FormRoom, account_id: str) -> AsyncIterator[FormData]:
    """The form in the body, whose files are closed after the block. Large files lie on disk, not in memory.

    Raises HttpError: 413 when it is larger than 17 MiB, 408 when it takes longer than 120 s, 400 when it is none; and
    ServerOverloaded when too many are read already; StorageFull when the disk is full.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HttpError(400, "Send multipart/form-data with the picture as the file 'image'.", code="invalid_content_type")
    with room.place(account_id):
        form = await parsed(request)
        try:
            yield form
        finally:
            await form.close()


async def parsed(request: Request) -> FormData:
    """See `form_of`."""
    body = limited(request, FORM_BYTES_MAX)
    parser = MultiPartParser(request.headers, body, max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX)
    try:
        async with in_time(FORM_SECONDS_MAX):
            return await parser.parse()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StorageFull("there is no room for the pictures of this request; try again later", retry_after=30) from error
    except MultiPartException as error:
        raise HttpError(400, f"The form is broken: {error.message}", code="invalid_form") from None
    except (KeyError, ValueError) as error:
        raise HttpError(400, "The form is broken; is its boundary in the header content-type?", code="invalid_form") from error


def body_of(kind: type[EditRequest], *more_files: str) -> dict[str, Any]:
    """The form as the API's description has it."""
    schema = kind.model_json_schema()
    files = {name: {"type": "string", "format": "binary"} for name in ("image", *more_files)}
    schema["properties"] = files | schema["properties"]
    schema["required"] = ["image", *schema.get("required", ())]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
