"""The one table between our errors and gRPC statuses, both ways."""

import re
from collections.abc import Iterator

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mezzotint.runtime import errors
from mezzotint.runtime.errors import MezzotintError

Code = grpc.StatusCode

CODES: dict[type[MezzotintError], grpc.StatusCode] = {
    errors.Internal: Code.INTERNAL,
    errors.FieldInvalid: Code.INVALID_ARGUMENT,
    errors.CredentialMissing: Code.UNAUTHENTICATED,
    errors.CredentialInvalid: Code.UNAUTHENTICATED,
    errors.CredentialExpired: Code.UNAUTHENTICATED,
    errors.CredentialRevoked: Code.UNAUTHENTICATED,
    errors.CallerNotAllowed: Code.PERMISSION_DENIED,
    errors.ScopeMissing: Code.PERMISSION_DENIED,
    errors.AccountExists: Code.ALREADY_EXISTS,
    errors.AccountNotFound: Code.NOT_FOUND,
    errors.ApiKeyNotFound: Code.NOT_FOUND,
    errors.SessionNotFound: Code.NOT_FOUND,
    errors.JobNotFound: Code.NOT_FOUND,
    errors.ModelNotFound: Code.NOT_FOUND,
    errors.ReservationNotFound: Code.NOT_FOUND,
    errors.ImageNotFound: Code.NOT_FOUND,
    errors.TierUnknown: Code.INVALID_ARGUMENT,
    errors.SizeUnsupported: Code.INVALID_ARGUMENT,
    errors.ProtocolViolation: Code.INVALID_ARGUMENT,
    errors.PageTokenInvalid: Code.INVALID_ARGUMENT,
    errors.RequestIdReused: Code.ALREADY_EXISTS,
    errors.QuotaExceeded: Code.RESOURCE_EXHAUSTED,
    errors.ServerOverloaded: Code.RESOURCE_EXHAUSTED,
    errors.StorageFull: Code.RESOURCE_EXHAUSTED,
    errors.LimitReached: Code.RESOURCE_EXHAUSTED,
    errors.LeaseStale: Code.FAILED_PRECONDITION,
    errors.JobFinished: Code.FAILED_PRECONDITION,
    errors.ModelInvalid: Code.FAILED_PRECONDITION,
    errors.SequenceAhead: Code.OUT_OF_RANGE,
    errors.ServerDraining: Code.UNAVAILABLE,
    errors.DependencyUnavailable: Code.UNAVAILABLE,
    errors.DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    errors.JobExpired: Code.DEADLINE_EXCEEDED,
    errors.Cancelled: Code.CANCELLED,
    errors.JobFailed: Code.INTERNAL,
    errors.PolicyInvalid: Code.FAILED_PRECONDITION,
    errors.WorkerNotFound: Code.NOT_FOUND,
    errors.MethodUnknown: Code.UNIMPLEMENTED,
}

# What a status without ErrorInfo means: it comes from gRPC itself, not from a service of ours.
BARE: dict[grpc.StatusCode, type[MezzotintError]] = {
    Code.UNAVAILABLE: errors.DependencyUnavailable,
    Code.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    Code.CANCELLED: errors.Cancelled,
    Code.RESOURCE_EXHAUSTED: errors.ServerOverloaded,
    Code.UNIMPLEMENTED: errors.MethodUnknown,
    Code.UNAUTHENTICATED: errors.CredentialInvalid,
    Code.PERMISSION_DENIED: errors.CallerNotAllowed,
    Code.INVALID_ARGUMENT: errors.FieldInvalid,
}
# How gRPC says that a message has more bytes than a side takes, which is no overload and will not pass.
TOO_LARGE = re.compile(r"message larger than max(?: \((\d+) vs\. (\d+)\))?", re.IGNORECASE)


def code_of(error: MezzotintError) -> grpc.StatusCode:
    """The canonical status code of an error."""
    return CODES[type(error)]


def to_status(error: MezzotintError) -> status_pb2.Status:
    """An error as google.rpc.Status with all its details."""
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message)
    for detail in details_of(error):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def details_of(error: MezzotintError) -> Iterator[message.Message]:
    """The google.rpc details that travel with an error, ErrorInfo first."""
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=errors.DOMAIN, metadata=error.metadata)
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        yield bad
    if isinstance(error, errors.QuotaExceeded):
        violation = error_details_pb2.QuotaFailure.Violation(subject=error.metadata.get("limit", ""), description=error.message)
        yield error_details_pb2.QuotaFailure(violations=[violation])
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(max(0, round(error.retry_after * 1e9)))
        yield retry


def from_call(call: grpc.RpcError) -> MezzotintError:
    """The error that a failed call carries: the class its server raised, or what gRPC's own status amounts to."""
    status = rpc_status.from_call(call)
    if status is None:
        return from_bare(call.code(), call.details() or "")
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    found = {detail.DESCRIPTOR.full_name for packed in status.details for detail in (info, bad, retry) if packed.Unpack(detail)}
    return errors.BY_REASON.get(info.reason, errors.Internal)(
        status.message,
        retry_after=retry.retry_delay.ToNanoseconds() / 1e9 if retry.DESCRIPTOR.full_name in found else None,
        metadata=dict(info.metadata),
        violations=[errors.FieldViolation(v.field, v.description) for v in bad.field_violations],
    )


def from_bare(code: grpc.StatusCode, text: str) -> MezzotintError:
    """What gRPC's own status amounts to."""
    found = TOO_LARGE.search(text) if code is Code.RESOURCE_EXHAUSTED else None
    if found is None:
        return BARE.get(code, errors.Internal)(text or code.name)
    size, limit = found.groups()
    if limit is None:
        return errors.LimitReached("a message has more bytes, unpacked, than may be in one; send less in one message")
    return errors.LimitReached(
        f"a message has {int(size):,} bytes, and at most {int(limit):,} may be in one; send less in one message",
        metadata={"limit": limit},
    )
