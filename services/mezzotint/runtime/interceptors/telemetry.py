"""Counts and times every call, and gives it a span in its caller's trace."""

import time
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import propagate, trace

from mezzotint.runtime import telemetry
from mezzotint.runtime.interceptors.errors import code_name
from mezzotint.runtime.interceptors.pipeline import Call


class TelemetryLayer:
    """Metrics and a server span a call."""

    async def enter(self, call: Call) -> None:
        """Begin the span as a child of the caller's."""
        telemetry.CALLS_STARTED.labels(call.method.lstrip("/")).inc()
        parent = propagate.extract(call.metadata)
        span = telemetry.tracer.start_span(call.method.lstrip("/"), parent, kind=trace.SpanKind.SERVER)
        contexts.attach(trace.set_span_in_context(span, parent))
        call.notes.update(span=span, counted=time.perf_counter())

    def receive(self, call: Call, message: Any) -> None:
        """Nothing."""

    def leave(self, call: Call) -> None:
        """End the span and record how long the call took and how it ended."""
        code = code_name(call.error)
        call.notes["span"].set_attribute("rpc.grpc.status_code", code)
        call.notes["span"].end()
        telemetry.CALL_SECONDS.labels(call.method.lstrip("/"), code).observe(time.perf_counter() - call.notes["counted"])
