"""A log line for every call that failed, for the others at level debug, and the ids that tie its other lines together."""

import time
from logging import DEBUG, getLogger

from mezzotint.runtime import calls, clock, logging, telemetry
from mezzotint.runtime.interceptors.errors import code_name
from mezzotint.runtime.interceptors.pipeline import Call, Layer

log = logging.get(__name__)
_written = getLogger(__name__)
# Longer ids are cut: they come from the caller.
REQUEST_ID_LENGTH_MAX = 64


class LoggingLayer(Layer):
    """Names method, request, trace and caller in every line of the call, and logs how it ended."""

    def enter(self, call: Call) -> None:
        """Take over the caller's request id or make one."""
        identifier = call.metadata.get("x-request-id", "")[:REQUEST_ID_LENGTH_MAX] or clock.LateId("req")
        calls.request_id.set(identifier)
        call.about |= {"method": call.method, "request_id": identifier, "trace_id": telemetry.trace_id() if call.span else ""}
        logging.about.set(call.about)

    def leave(self, call: Call) -> None:
        """Log the end: failures of the server as errors, those of the caller as information.

        A line a call that went well would cost more time than the call.
        """
        code = code_name(call.error)
        if code == "OK" and not _written.isEnabledFor(DEBUG):
            return
        write = log.error if code == "INTERNAL" else log.debug if code == "OK" else log.info
        write(
            "call",
            code=code,
            reason=getattr(call.error, "reason", ""),
            ms=round((time.perf_counter() - call.began) * 1e3, 2),
        )
