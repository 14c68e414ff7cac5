"""Runs a list of layers around every call of our services.

One gRPC interceptor instead of one a concern: a handler is wrapped once, not once a layer and call. Services that gRPC's own
packages bring (health, reflection) pass through untouched.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from mezzotint.runtime.errors import FieldInvalid
from mezzotint.runtime.interceptors.errors import abort

GRPCS_OWN = "/grpc."
Decode = Callable[[bytes], Any]


@dataclass(slots=True)
class Call:
    """One call on its way through the layers."""

    method: str
    """The full name: /package.Service/Method."""
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: dict[str, str]
    """The textual metadata, the last value of each name."""
    began: float
    """When, by time.perf_counter."""
    error: BaseException | None = None
    """What ended the call, if not its own end."""
    span: Any = None
    """The call's span, where it is traced."""
    about: dict[str, object] = field(default_factory=dict)
    """What every line of the log says of the call."""
    entered: int = 0
    """How many layers were entered."""


class Layer:
    """One concern around a call. Left in the reverse order of entering, and only if it was entered."""

    def enter(self, call: Call) -> Awaitable[object] | None:
        """Before the handler; raises to refuse the call. Gives what has to be awaited first, which may raise too."""

    def receive(self, call: Call, message: Any) -> None:
        """For each request message, before the handler sees it; raises to refuse the call."""

    def leave(self, call: Call) -> None:
        """After the call, however it ended; must not raise."""


class Pipeline(grpc.aio.ServerInterceptor):
    """The interceptor that runs `layers`, the first outermost."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        # Most layers have nothing to say to a message, or at the end: those that do are called.
        self._receivers = [layer.receive for layer in layers if type(layer).receive is not Layer.receive]
        self._leavers = [(at, each.leave) for at, each in enumerate(layers) if type(each).leave is not Layer.leave][::-1]
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of a method the first time it is called."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is not None and not method.startswith(GRPCS_OWN):
            handler = self._wrapped[method] = self._wrap(method, handler)
        return handler

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        decode = _decoder(handler.request_deserializer)
        serializer = handler.response_serializer
        if handler.unary_unary:
            behavior = self._unary(method, handler.unary_unary, decode)
            return grpc.unary_unary_rpc_method_handler(behavior, response_serializer=serializer)
        if handler.unary_stream:
            behavior = self._streaming(method, handler.unary_stream, decode)
            # The same on the wire. Of a stream's messages gRPC keeps none; that of a call with one it would keep, whole, to the
            # call's end: megabytes of pictures for as long as they wait to be drawn.
            return grpc.stream_stream_rpc_method_handler(behavior, response_serializer=serializer)
        assert handler.stream_stream, f"{method}: the contract has no RPC of this kind"
        behavior = self._bidirectional(method, handler.stream_stream, decode)
        return grpc.stream_stream_rpc_method_handler(behavior, response_serializer=serializer)

    def _unary(self, method: str, behavior: Any, decode: Decode) -> Any:
        async def handle(raw: bytes, context: Any) -> Any:
            call = open_call(method, context)
            try:
                # As `_enter` does: a coroutine less for the calls there are most of.
                for layer in self._layers:
                    if (waiting := layer.enter(call)) is not None:
                        await waiting
                    call.entered += 1
                return await behavior(self._receive(call, decode(raw)), context)
            except BaseException as error:
                call.error = error
                await abort(context, error)
                raise
            finally:
                self._leave(call)

        return handle

    def _streaming(self, method: str, behavior: Any, decode: Decode) -> Any:
        async def handle(raws: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            async def responses(call: Call) -> Any:
                # No name holds the message here: once the handler lets go of it, it is gone.
                return behavior(self._receive(call, decode(await only(context))), context)

            async for response in self._stream(method, context, responses):
                yield response

        return handle

    def _bidirectional(self, method: str, behavior: Any, decode: Decode) -> Any:
        async def handle(raws: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            async def requests(call: Call) -> AsyncIterator[Any]:
                async for raw in raws:
                    yield self._receive(call, decode(raw))

            async def responses(call: Call) -> Any:
                return behavior(requests(call), context)

            async for response in self._stream(method, context, responses):
                yield response

        return handle

    async def _stream(self, method: str, context: Any, responses: Callable[[Call], Awaitable[Any]]) -> AsyncIterator[Any]:
        call = open_call(method, context)
        try:
            await self._enter(call)
            async with aclosing(await responses(call)) as each:
                async for response in each:
                    yield response
        except BaseException as error:
            call.error = error
            await abort(context, error)
            raise
        finally:
            self._leave(call)

    async def _enter(self, call: Call) -> None:
        for layer in self._layers:
            if (waiting := layer.enter(call)) is not None:
                await waiting
            call.entered += 1

    def _leave(self, call: Call) -> None:
        """Leave every layer that was entered, innermost first."""
        for place, leave in self._leavers:
            if place < call.entered:
                leave(call)

    def _receive(self, call: Call, message: Any) -> Any:
        for receive in self._receivers:
            receive(call, message)
        return message


async def only(context: Any) -> bytes:
    """The one request of a call. Raises FieldInvalid when there is none."""
    raw = await context.read()
    if raw is grpc.aio.EOF:
        raise FieldInvalid("the call ended without its request")
    found: bytes = raw
    return found


def _decoder(deserializer: Callable[[bytes], Any] | None) -> Decode:
    """A method's deserializer, failing as our error: left to gRPC it would end as UNKNOWN with a Python class in its text."""

    def decode(raw: bytes) -> Any:
        try:
            return deserializer(raw) if deserializer else raw
        except DecodeError as error:
            raise FieldInvalid("the request is not the message this method takes, or a text in it is not UTF-8") from error

    return decode


def open_call(method: str, context: Any) -> Call:
    """The call as its layers see it."""
    metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Call(method, context, metadata, time.perf_counter())
