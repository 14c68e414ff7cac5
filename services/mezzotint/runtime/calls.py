"""Calling another service: a deadline on every call, ours passed on, and its errors raised as the classes it raised."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from contextvars import ContextVar
from typing import Protocol, TypeVar

import grpc
from opentelemetry import propagate

from mezzotint.runtime import statuses
from mezzotint.runtime.clock import LateId
from mezzotint.runtime.errors import DeadlineExceeded

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response", covariant=True)
Metadata = tuple[tuple[str, str], ...]

# When the call being served must be answered, on the event loop's clock; None: no end.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
# The id of the call being served, passed on to the services it calls.
request_id: ContextVar[str | LateId] = ContextVar("request_id", default="")
# Kept back from the caller's time so that our answer still reaches it.
MARGIN_SECONDS = 0.02


class UnaryMethod(Protocol[Request, Response]):
    """A stub's method with one response."""

    def __call__(self, request: Request, /, *, timeout: float | None, metadata: Metadata) -> Awaitable[Response]:
        """Make the call."""
        ...


class Responses(AsyncIterable[Response], Protocol[Response]):
    """The responses of a call under way."""

    def cancel(self) -> bool:
        """End the call; False when it has ended already."""
        ...


class StreamMethod(Protocol[Request, Response]):
    """A stub's method with a stream of responses."""

    def __call__(self, request: Request, /, *, timeout: float | None, metadata: Metadata) -> Responses[Response]:
        """Make the call."""
        ...


async def call(
    method: UnaryMethod[Request, Response], request: Request, *, timeout: float = 10.0, metadata: Metadata = ()
) -> Response:
    """The response of a call that ends within `timeout` seconds and within the deadline of the call being served.

    Raises what the server raised; DependencyUnavailable when it does not answer; DeadlineExceeded.
    """
    try:
        return await method(request, timeout=time_left(timeout), metadata=(*metadata, *passed_on()))
    except grpc.RpcError as error:
        raise statuses.from_call(error) from error


async def stream(
    method: StreamMethod[Request, Response], request: Request, *, timeout: float | None = None, metadata: Metadata = ()
) -> AsyncGenerator[Response, None]:
    """The responses of a call; closing the iterator cancels it. Raises as `call` does. No `timeout`: no end of its own."""
    responses = method(request, timeout=time_left(timeout), metadata=(*metadata, *passed_on()))
    try:
        async for response in responses:
            yield response
    except grpc.RpcError as error:
        raise statuses.from_call(error) from error
    finally:
        # An iterator that is closed does not end its call by itself.
        responses.cancel()


def time_left(timeout: float | None) -> float | None:
    """`timeout` seconds, or less where the call being served has less time left. Raises DeadlineExceeded when it has none."""
    end = deadline.get()
    if end is None:
        return timeout
    left = end - asyncio.get_running_loop().time() - MARGIN_SECONDS
    if left <= 0:
        raise DeadlineExceeded("no time is left of the call's deadline; call again with a longer one")
    return left if timeout is None else min(timeout, left)


def passed_on() -> Metadata:
    """The metadata that ties this call to the one being served: its id and its trace."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if identifier := request_id.get():
        carrier["x-request-id"] = str(identifier)
    return tuple(carrier.items())
