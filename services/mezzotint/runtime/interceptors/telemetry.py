"""Counts and times every call, and gives it a span in its caller's trace."""

import time
from functools import cache

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from prometheus_client import Counter, Histogram

from mezzotint.runtime import telemetry
from mezzotint.runtime.interceptors.errors import code_name
from mezzotint.runtime.interceptors.pipeline import Call, Layer


class TelemetryLayer(Layer):
    """Metrics for every call; a server span where traces are exported or the caller sends its own."""

    def enter(self, call: Call) -> None:
        """Begin the span as a child of the caller's."""
        _started(call.method).inc()
        if telemetry.exporting() or "traceparent" in call.metadata:
            parent = propagate.extract(call.metadata)
            call.span = telemetry.tracer.start_span(call.method.lstrip("/"), parent, kind=trace.SpanKind.SERVER)
            contexts.attach(trace.set_span_in_context(call.span, parent))

    def leave(self, call: Call) -> None:
        """End the span and record how long the call took and how it ended."""
        code = code_name(call.error)
        _ended(call.method, code).observe(time.perf_counter() - call.began)
        if call.span:
            call.span.set_attribute("rpc.grpc.status_code", code)
            call.span.end()


# Looking a metric up by its labels costs more than counting: each is looked up once.
@cache
def _started(method: str) -> Counter:
    return telemetry.CALLS_STARTED.labels(method.lstrip("/"))


@cache
def _ended(method: str, code: str) -> Histogram:
    return telemetry.CALL_SECONDS.labels(method.lstrip("/"), code)
