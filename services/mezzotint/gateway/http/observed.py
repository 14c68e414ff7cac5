"""Around every HTTP request: an id, a line in the log, metrics; the counterpart of the gRPC door's layers."""

import re
import time

import structlog
from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mezzotint.runtime import calls, clock, logging, telemetry

log = logging.get(__name__)
REQUEST_SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Seconds from an HTTP request's begin to its end, by how it ended.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=telemetry.LATENCY_BUCKETS,
)
# Ids of a client's own making end up in logs and headers.
REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Observed:
    """Wraps the application; raises nothing but what ends the process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        identifier = named(headers)
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier.encode())]
            await send(message)

        span = begin(scope, headers, identifier)
        try:
            await self._app(scope, receive, sending)
        except (ClientDisconnect, OSError):
            status = 499
        except Exception as error:  # the application has answered 500; this is the report
            status = 500
            log.error("internal error", exc_info=error)
        finally:
            span.end()
            finish(scope, status, time.perf_counter() - began)


def named(headers: dict[str, str]) -> str:
    """The client's request id if it is a fit one, else a fresh one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else clock.new_id("req")


def begin(scope: Scope, headers: dict[str, str], identifier: str) -> trace.Span:
    """Tie the request's log lines and calls together."""
    calls.request_id.set(identifier)
    calls.deadline.set(None)
    parent = propagate.extract(headers)
    span = telemetry.tracer.start_span(f"{scope['method']} {scope['path'][:64]}", parent, kind=trace.SpanKind.SERVER)
    contexts.attach(trace.set_span_in_context(span, parent))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=identifier, trace_id=telemetry.trace_id())
    return span


def finish(scope: Scope, status: int, seconds: float) -> None:
    """Count the end and log it: defects as errors, refusals as information, what went well at level debug only."""
    route = getattr(scope.get("route"), "path", "other")
    method = scope["method"] if scope["method"] in METHODS else "other"
    REQUEST_SECONDS.labels(method, route, str(status)).observe(seconds)
    write = log.error if status == 500 else log.info if status >= 400 else log.debug
    write("request", method=method, route=route, status=status, ms=round(seconds * 1e3, 2))
