"""Prometheus metrics under gRPC's standard names, and OpenTelemetry traces where a collector is configured.

Traces are exported when OTEL_EXPORTER_OTLP_ENDPOINT is set; else spans cost next to nothing and only carry the trace id on.
"""

import os
from functools import cache

from opentelemetry import trace
from prometheus_client import Counter, Histogram, start_http_server

# gRPC's own latency buckets (proposal A66), in seconds, thinned out.
LATENCY_BUCKETS = (0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 100)

CALLS_STARTED = Counter("grpc_server_call_started", "Calls that began.", ["grpc_method"])
CALL_SECONDS = Histogram(
    "grpc_server_call_duration_seconds",
    "Seconds from a call's begin to its end, by how it ended.",
    ["grpc_method", "grpc_status"],
    buckets=LATENCY_BUCKETS,
)

tracer = trace.get_tracer("mezzotint")


def configure(service: str, *, host: str, metrics_port: int) -> None:
    """Serve /metrics on `metrics_port` unless it is 0, and export traces if the environment names a collector."""
    if metrics_port:
        start_http_server(metrics_port, addr=host)
    if exporting():
        export_traces(service)


@cache
def exporting() -> bool:
    """Whether the environment names a collector for traces."""
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def export_traces(service: str) -> None:
    """Send spans to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names. Imported late: the exporter takes its time."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"mezzotint-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def trace_id() -> str:
    """The trace the current span belongs to, 32 hexadecimal digits; empty outside any."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
