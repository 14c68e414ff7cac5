"""Runs a list of layers around every call of our services.

One gRPC interceptor instead of one a concern: a handler is wrapped once, not once a layer and call. Services that gRPC's own
packages bring (health, reflection) pass through untouched.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from mezzotint.runtime.interceptors.errors import abort

OURS = "/mezzotint.api."


@dataclass
class Call:
    """One call on its way through the layers."""

    method: str
    """The full name: /package.Service/Method."""
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: dict[str, str]
    """The textual metadata, the last value of each name."""
    error: BaseException | None = None
    """What ended the call, if not its own end."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a layer's `enter` leaves for its `leave`."""


class Layer(Protocol):
    """One concern around a call. Left in the reverse order of entering, and only if it was entered."""

    async def enter(self, call: Call) -> None:
        """Before the handler; raises to refuse the call."""
        ...

    def receive(self, call: Call, message: Any) -> None:
        """For each request message, before the handler sees it; raises to refuse the call."""
        ...

    def leave(self, call: Call) -> None:
        """After the call, however it ended; must not raise."""
        ...


class Pipeline(grpc.aio.ServerInterceptor):
    """The interceptor that runs `layers`, the first outermost."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
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
        if handler is not None and method.startswith(OURS):
            handler = self._wrapped[method] = self._wrap(method, handler)
        return handler

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        codec = {"request_deserializer": handler.request_deserializer, "response_serializer": handler.response_serializer}
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._streaming(method, handler.unary_stream), **codec)
        assert handler.stream_stream, f"{method}: the contract has no RPC of this kind"
        return grpc.stream_stream_rpc_method_handler(self._bidirectional(method, handler.stream_stream), **codec)

    def _unary(self, method: str, behavior: Any) -> Any:
        async def handle(request: Any, context: Any) -> Any:
            call = open_call(method, context)
            entered: list[Layer] = []
            try:
                await self._enter(call, entered)
                self._receive(call, request)
                return await behavior(request, context)
            except BaseException as error:
                call.error = error
                await abort(context, error)
                raise
            finally:
                leave(call, entered)

        return handle

    def _streaming(self, method: str, behavior: Any) -> Any:
        async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
            async def responses(call: Call) -> AsyncIterator[Any]:
                self._receive(call, request)
                return behavior(request, context)  # type: ignore[no-any-return]  # a handler of unknown type

            async for response in self._stream(method, context, responses):
                yield response

        return handle

    def _bidirectional(self, method: str, behavior: Any) -> Any:
        async def handle(requests: Any, context: Any) -> AsyncIterator[Any]:
            async def responses(call: Call) -> AsyncIterator[Any]:
                return behavior(self._each(call, requests), context)  # type: ignore[no-any-return]  # a handler of unknown type

            async for response in self._stream(method, context, responses):
                yield response

        return handle

    async def _stream(
        self, method: str, context: Any, responses: Callable[[Call], Awaitable[AsyncIterator[Any]]]
    ) -> AsyncIterator[Any]:
        call = open_call(method, context)
        entered: list[Layer] = []
        try:
            await self._enter(call, entered)
            async for response in await responses(call):
                yield response
        except BaseException as error:
            call.error = error
            await abort(context, error)
            raise
        finally:
            leave(call, entered)

    async def _each(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self._receive(call, request)
            yield request

    async def _enter(self, call: Call, entered: list[Layer]) -> None:
        for layer in self._layers:
            await layer.enter(call)
            entered.append(layer)

    def _receive(self, call: Call, message: Any) -> None:
        for layer in self._layers:
            layer.receive(call, message)


def open_call(method: str, context: Any) -> Call:
    """The call as its layers see it."""
    metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Call(method, context, metadata)


def leave(call: Call, entered: list[Layer]) -> None:
    """Leave every layer that was entered, innermost first."""
    for layer in reversed(entered):
        layer.leave(call)
