"""AccountService at the public door: calls are passed on to auth with the caller's own credential, answers come back whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import descriptor, message, message_factory

from mezzotint.api.auth.v1 import account_pb2
from mezzotint.gateway.peers import Peer
from mezzotint.runtime.calls import Metadata

SERVICE = account_pb2.DESCRIPTOR.services_by_name["AccountService"]
# Hashing a password takes its time, and at a rush there is a queue for it.
CALL_SECONDS_MAX = 30.0
PASSED_ON = ("authorization",)

Context = grpc.aio.ServicerContext[Any, Any]


def passing_on(channel: grpc.aio.Channel) -> grpc.GenericRpcHandler:
    """A handler of every method of AccountService. Requests are decoded, for the contract's rules; answers are not."""
    handlers = {method.name: handler_of(method, Peer("auth", channel), channel) for method in SERVICE.methods}
    return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)


def handler_of(
    method: descriptor.MethodDescriptor, peer: Peer, channel: grpc.aio.Channel
) -> grpc.RpcMethodHandler[message.Message, bytes]:
    """The handler of one method."""
    request_class = message_factory.GetMessageClass(method.input_type)
    call: Any = channel.unary_unary(
        f"/{SERVICE.full_name}/{method.name}", request_serializer=request_class.SerializeToString, response_deserializer=None
    )
    return grpc.unary_unary_rpc_method_handler(
        passed_on(peer, call), request_deserializer=request_class.FromString, response_serializer=None
    )


def passed_on(peer: Peer, call: Any) -> Callable[[message.Message, Context], Awaitable[bytes]]:
    """The behaviour of one method."""

    async def handle(request: message.Message, context: Context) -> bytes:
        answer: bytes = await peer.call(call, request, timeout=CALL_SECONDS_MAX, metadata=credentials(context))
        return answer

    return handle


def credentials(context: Context) -> Metadata:
    """The caller's credential, and nothing else he sent."""
    sent = context.invocation_metadata() or ()
    return tuple((name, value) for name, value in sent if name in PASSED_ON and isinstance(value, str))
