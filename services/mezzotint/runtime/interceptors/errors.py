"""Turns what a handler raised into a status: ours with their reason, anything else as INTERNAL with a report in the log."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from mezzotint.runtime import errors, logging, statuses

log = logging.get(__name__)
# This server has answered: asking it again at once would multiply retries along a chain of services. Only a server that stops
# wants to be asked again, since another one may answer. Clients' gRPC reads it (proposal A6, server pushback).
NO_RETRY = ("grpc-retry-pushback-ms", "-1")


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: BaseException) -> None:
    """End the call with the status of `error`; returns for cancellation and for a call that is aborted already."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError | KeyboardInterrupt | SystemExit):
        return
    if isinstance(error, NotImplementedError):
        error = errors.MethodUnknown("this server does not serve the method")
    if not isinstance(error, errors.MezzotintError):
        log.error("internal error", exc_info=error)
    status = rpc_status.to_status(public_status(error))
    if not isinstance(error, errors.ServerDraining):
        status = status._replace(trailing_metadata=(*status.trailing_metadata, NO_RETRY))
    await context.abort_with_status(status)


def public_status(error: BaseException) -> status_pb2.Status:
    """What a caller may know: the whole of our errors, and of a defect only that there is one."""
    if isinstance(error, errors.MezzotintError):
        return statuses.to_status(error)
    return statuses.to_status(errors.Internal("internal error; the server's log holds the report under this request's id"))


def code_name(error: BaseException | None) -> str:
    """The status code a call ended with, for metrics and logs."""
    if error is None:
        return "OK"
    if isinstance(error, errors.MezzotintError):
        return statuses.code_of(error).name
    return "CANCELLED" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "INTERNAL"
