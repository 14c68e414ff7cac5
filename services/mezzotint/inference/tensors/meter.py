"""Counts and times what happens to the requests of one tensor model, all versions together."""

import asyncio
from functools import cache

from prometheus_client import Counter

from mezzotint.inference import metrics
from mezzotint.runtime.errors import FieldInvalid, JobExpired, LimitReached, ModelNotFound, ServerOverloaded

ENDS: dict[type[BaseException], str] = {
    FieldInvalid: "invalid",
    ServerOverloaded: "overloaded",
    JobExpired: "expired",
    LimitReached: "too_large",
    ModelNotFound: "not_found",
    asyncio.CancelledError: "cancelled",
}


class TensorMeter:
    """The metrics of one model, looked up once; each of its versions has its own meter."""

    def __init__(self, model: str) -> None:
        self._call_seconds = metrics.TENSOR_CALL_SECONDS.labels(model)
        self._call_rows = metrics.TENSOR_CALL_ROWS.labels(model)
        self._queue_seconds = metrics.TENSOR_QUEUE_SECONDS.labels(model)
        self._waiting = metrics.TENSOR_WAITING.labels(model)
        self._told_waiting = 0

    def called(self, seconds: float, rows: int) -> None:
        """A call went well."""
        self._call_seconds.observe(seconds)
        self._call_rows.observe(rows)

    def waited(self, seconds: float) -> None:
        """A request that was answered had waited so long for its call."""
        self._queue_seconds.observe(seconds)

    def waiting(self, count: int) -> None:
        """So many requests wait for this version."""
        if count != self._told_waiting:
            self._waiting.inc(count - self._told_waiting)
            self._told_waiting = count


def count(model: str, error: BaseException | None) -> None:
    """A request ended. The model of one that found none is "": callers can make up names without end."""
    end = "answered" if error is None else ENDS.get(type(error), "failed")
    _requests("" if end == "not_found" else model, end).inc()


@cache
def _requests(model: str, end: str) -> Counter:
    """The metric of requests that ended so; there are as many as models that were loaded, times ends."""
    return metrics.TENSOR_REQUESTS.labels(model, end)
