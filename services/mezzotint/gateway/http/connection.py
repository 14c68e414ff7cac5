"""The request's connection: its body within limits, and work that ends when the client hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from mezzotint.gateway.http.errors import HttpError

Result = TypeVar("Result")
BODY_BYTES_MAX = 1024 * 1024
BODY_SECONDS_MAX = 30.0


async def read_body(request: Request) -> bytes:
    """The whole body. Raises HttpError: 413 when it is larger than 1 MiB, 408 when it takes longer than 30 s."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > BODY_BYTES_MAX:
        raise too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise too_large()
    except TimeoutError:
        raise HttpError(408, f"The body did not arrive within {BODY_SECONDS_MAX:g} s.", code="request_timeout") from None
    return bytes(body)


def too_large() -> HttpError:
    """The error for a body over the limit."""
    return HttpError(413, f"The body is larger than {BODY_BYTES_MAX} bytes.", code="request_too_large")


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
