"""The request's connection: its body within limits, and work that ends when the client hangs up."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from mezzotint.gateway.http.errors import HttpError

Result = TypeVar("Result")
BODY_BYTES_MAX = 1024 * 1024
BODY_SECONDS_MAX = 30.0


async def read_body(request: Request) -> bytes:
    """The whole body. Raises HttpError: 413 when it is larger than 1 MiB, 408 when it takes longer than 30 s."""
    body = bytearray()
    async with in_time(BODY_SECONDS_MAX):
        async for chunk in limited(request, BODY_BYTES_MAX):
            body += chunk
    return bytes(body)


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """A block that reads the body. Raises HttpError (408) when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise HttpError(408, f"The body did not arrive within {seconds:g} s.", code="request_timeout") from None


async def limited(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises HttpError (413) once it is larger than `bytes_max`, or says that it is."""
    length, size = request.headers.get("content-length", ""), 0
    if length.isdigit() and int(length) > bytes_max:
        raise too_large(bytes_max)
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise too_large(bytes_max)
        yield chunk


def too_large(bytes_max: int) -> HttpError:
    """The error for a body over the limit."""
    return HttpError(413, f"The body is larger than {bytes_max} bytes.", code="request_too_large")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client hangs up; then raises ClientDisconnect. Read the body first."""
    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(hung_up(receive))
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        for task in (working, listening):
            task.cancel()
        await asyncio.gather(working, listening, return_exceptions=True)


async def hung_up(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
