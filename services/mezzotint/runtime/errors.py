"""Every expected failure, one class a reason; servers raise them and clients get the same ones back.

A class's reason is its name in upper snake case and stands in mezzotint/api/errors/v1/errors.proto, which says what each means.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

DOMAIN = "mezzotint"


@dataclass(frozen=True)
class FieldViolation:
    """A field that breaks a rule: its path in the request, and the rule in words."""

    field: str
    description: str


class MezzotintError(Exception):
    """A failure that a caller can act on.

    `message` says what was wrong, the limit and what to do. `retry_after` is in seconds; None says nothing about retrying.
    `metadata` is for programs, `violations` name the fields at fault.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)

    def __init_subclass__(cls) -> None:
        cls.reason = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).upper()


class StartRefused(Exception):
    """A service cannot start with the policy or the files it was given; the message says what to do. Ends the process."""


class Internal(MezzotintError):
    """A defect or a broken store."""


class FieldInvalid(MezzotintError):
    """A field breaks a rule of the contract."""

    @classmethod
    def of(cls, field: str, description: str) -> "FieldInvalid":
        """The error for one field at fault."""
        return cls(f"{field}: {description}", violations=[FieldViolation(field, description)])


class CredentialMissing(MezzotintError):
    """The call carries no credential."""


class CredentialInvalid(MezzotintError):
    """The credential is malformed, unknown or wrong."""


class CredentialExpired(MezzotintError):
    """The credential's time is over."""


class CredentialRevoked(MezzotintError):
    """The credential was withdrawn."""


class CallerNotAllowed(MezzotintError):
    """The RPC does not admit this caller."""


class ScopeMissing(MezzotintError):
    """The credential lacks a scope."""


class AccountExists(MezzotintError):
    """The e-mail address is taken."""


class AccountNotFound(MezzotintError):
    """No such account."""


class ApiKeyNotFound(MezzotintError):
    """No such API key in the account."""


class SessionNotFound(MezzotintError):
    """No such session in the account."""


class JobNotFound(MezzotintError):
    """No such job, or another account's."""


class ModelNotFound(MezzotintError):
    """No model of this name is loaded."""


class ReservationNotFound(MezzotintError):
    """No such reservation, or its time is over."""


class TierUnknown(MezzotintError):
    """No tier of this name."""


class SizeUnsupported(MezzotintError):
    """The model does not draw this size."""


class RequestIdReused(MezzotintError):
    """The request id was used before with another request."""


class QuotaExceeded(MezzotintError):
    """A limit is reached; metadata "limit", "dimension", "max" and "remaining" name the tightest."""


class ServerOverloaded(MezzotintError):
    """The server holds all the work it may hold."""


class StorageFull(MezzotintError):
    """The disk or the store is full; nothing was accepted."""


class LimitReached(MezzotintError):
    """A fixed limit is reached."""


class LeaseStale(MezzotintError):
    """The fencing token is not the job's current one."""


class JobFinished(MezzotintError):
    """The job cannot change any more."""


class SequenceAhead(MezzotintError):
    """The job's events have not come this far."""


class ModelInvalid(MezzotintError):
    """The model folder cannot be served."""


class ServerDraining(MezzotintError):
    """The server is stopping."""


class DependencyUnavailable(MezzotintError):
    """A service this one needs does not answer."""


class DeadlineExceeded(MezzotintError):
    """The caller's deadline passed."""


class JobExpired(MezzotintError):
    """The job did not start in time."""


class Cancelled(MezzotintError):
    """The job or call was cancelled."""


class JobFailed(MezzotintError):
    """The job failed on every attempt."""


class ProtocolViolation(MezzotintError):
    """A stream's message breaks the protocol."""


class PageTokenInvalid(MezzotintError):
    """The page token is malformed or of another query."""


class ImageNotFound(MezzotintError):
    """No such picture."""


class PolicyInvalid(MezzotintError):
    """A policy file cannot be used; the one in force stays."""


class WorkerNotFound(MezzotintError):
    """No worker of this id is connected."""


class MethodUnknown(MezzotintError):
    """The server does not serve the method."""


BY_REASON: dict[str, type[MezzotintError]] = {cls.reason: cls for cls in MezzotintError.__subclasses__()}
