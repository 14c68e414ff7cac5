"""A log line for every call that failed, for the others at level debug, and the ids that tie its other lines together."""

import time
from logging import DEBUG, getLogger
from typing import Any

import structlog

from mezzotint.runtime import calls, clock, logging, telemetry
from mezzotint.runtime.interceptors.errors import code_name
from mezzotint.runtime.interceptors.pipeline import Call

log = logging.get(__name__)
# Longer ids are cut: they come from the caller.
REQUEST_ID_LENGTH_MAX = 64


class LoggingLayer:
    """Binds method, request and trace ids for every line of the call, and logs how it ended."""

    async def enter(self, call: Call) -> None:
        """Take over the caller's request id or make one."""
        identifier = call.metadata.get("x-request-id", "")[:REQUEST_ID_LENGTH_MAX] or clock.new_id("req")
        calls.request_id.set(identifier)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(method=call.method, request_id=identifier, trace_id=telemetry.trace_id())
        call.notes["began"] = time.perf_counter()

    def receive(self, call: Call, message: Any) -> None:
        """Nothing: messages may hold prompts and secrets."""

    def leave(self, call: Call) -> None:
        """Log the end: failures of the server as errors, those of the caller as information.

        A line a call that went well would cost more time than the call.
        """
        code = code_name(call.error)
        if code == "OK" and not getLogger(__name__).isEnabledFor(DEBUG):
            return
        write = log.error if code == "INTERNAL" else log.debug if code == "OK" else log.info
        write(
            "call",
            code=code,
            reason=getattr(call.error, "reason", ""),
            ms=round((time.perf_counter() - call.notes["began"]) * 1e3, 2),
        )
