"""Errors as the OpenAI API has them: one table from our errors to HTTP statuses, one body, headers that say when to retry."""

import math
from collections.abc import Mapping
from typing import Any

import grpc

from mezzotint.runtime import errors, statuses
from mezzotint.runtime.errors import MezzotintError

Code = grpc.StatusCode
# Clients stop retrying when they are told to wait longer than this.
RETRY_AFTER_SECONDS_MAX = 120

STATUS_BY_CODE: dict[grpc.StatusCode, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.UNIMPLEMENTED: 404,
    Code.ALREADY_EXISTS: 409,
    Code.FAILED_PRECONDITION: 409,
    Code.CANCELLED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
# Where HTTP's clients expect something else than the code says.
STATUS_BY_ERROR: dict[type[MezzotintError], int] = {
    errors.ModelNotFound: 400,  # a value of the body, not the address
    errors.StorageFull: 503,  # the server's disk, not the caller's quota
}
PARAM_BY_ERROR: dict[type[MezzotintError], str] = {
    errors.ModelNotFound: "model",
    errors.SizeUnsupported: "size",
    errors.RequestIdReused: "Idempotency-Key",
}
# Fields of the contract by their names in the OpenAI API, where these differ.
PARAM_BY_FIELD = {
    "spec.images": "n",
    "spec.width": "size",
    "spec.height": "size",
    "spec.format": "output_format",
    "spec.previews": "partial_images",
    "spec.image.data": "image",
    "spec.image.source": "image",
    "spec.mask.data": "mask",
    "request_id": "Idempotency-Key",
}
CODE_BY_ERROR: dict[type[MezzotintError], str] = {
    errors.CredentialMissing: "invalid_api_key",
    errors.CredentialInvalid: "invalid_api_key",
    errors.QuotaExceeded: "rate_limit_exceeded",
    errors.FieldInvalid: "invalid_value",
}
TYPE_BY_STATUS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# Statuses that clients retry by themselves although the same request would end the same way.
VAIN = (errors.Cancelled, errors.RequestIdReused, errors.JobFailed, errors.JobExpired, errors.JobFinished)


class HttpError(Exception):
    """A failure that only HTTP knows, such as a body too large or a method not allowed."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def status_of(error: MezzotintError) -> int:
    """The HTTP status of an error."""
    return STATUS_BY_ERROR.get(type(error)) or STATUS_BY_CODE[statuses.code_of(error)]


def body_of(error: MezzotintError | HttpError) -> dict[str, Any]:
    """The body of an error: OpenAI's four fields and our `reason`."""
    if isinstance(error, HttpError):
        return shape(error.message, error.status, error.code, error.param)
    code = CODE_BY_ERROR.get(type(error), error.reason.lower())
    told = "; ".join(f"{param_by(v.field)}: {v.description}" for v in error.violations)
    body = shape(told or error.message, status_of(error), code, param_of(error))
    body["error"]["reason"] = error.reason
    return body


def shape(message: str, status: int, code: str, param: str | None) -> dict[str, Any]:
    """The form that OpenAI's clients read."""
    kind = TYPE_BY_STATUS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def param_of(error: MezzotintError) -> str | None:
    """The parameter at fault, by its name in the OpenAI API."""
    if error.violations:
        return param_by(error.violations[0].field)
    return PARAM_BY_ERROR.get(type(error))


def param_by(field: str) -> str:
    """The OpenAI API's name of a field of the contract."""
    return PARAM_BY_FIELD.get(field, field.rpartition(".")[2])


def retry_headers(error: MezzotintError) -> Mapping[str, str]:
    """When to come back, and whether at all: a wait that clients do not honour is not worth a retry."""
    if isinstance(error, VAIN) or (isinstance(error, errors.QuotaExceeded) and error.retry_after is None):
        return {"x-should-retry": "false"}
    if error.retry_after is None:
        return {}
    wait = min(error.retry_after, RETRY_AFTER_SECONDS_MAX)
    headers = {"retry-after": str(max(1, math.ceil(wait))), "retry-after-ms": str(max(1, math.ceil(wait * 1000)))}
    if error.retry_after > RETRY_AFTER_SECONDS_MAX:
        headers["x-should-retry"] = "false"
    return headers
