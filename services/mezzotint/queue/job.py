"""A job, what can happen to it, and the record of what did. Plain values; transitions.py says how one becomes the next.

They are msgspec's structs and not dataclasses: made 20 times and changed 70 times as fast, and, as none can be part of a cycle,
no garbage collection looks at a million of them.
"""

import hashlib
from enum import IntEnum
from functools import lru_cache

from msgspec import Struct

# Names and values, sorted by name.
Labels = tuple[tuple[str, str], ...]


class JobState(IntEnum):
    """Where a job stands; the numbers are the contract's."""

    QUEUED = 1
    DEFERRED = 2
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLED = 6
    EXPIRED = 7

    @property
    def final(self) -> bool:
        """Nothing happens to the job any more."""
        return self >= JobState.SUCCEEDED


class FailureClass(IntEnum):
    """How a failure is treated; the numbers are the contract's."""

    RETRYABLE = 1
    PERMANENT = 2
    WORKER_LOST = 3


class Failure(Struct, frozen=True, gc=False):
    """Why a job or an attempt ended without a result. `reason` is a name of the contract's Reason, `message` is for people."""

    failure_class: FailureClass
    reason: str
    message: str


class NewJob(Struct, frozen=True, gc=False):
    """What a caller asks for. `start_within` is in seconds, `cost_ms` in milliseconds of device time."""

    request_id: str
    account_id: str
    tier: str
    kind: str
    payload: bytes
    cost_ms: int
    start_within: float
    attempts_max: int
    labels: Labels = ()
    not_before: float = 0.0
    """When it may start, in seconds since the epoch; 0: at once. `start_within` counts from then."""
    redrives: str = ""
    """The failed job whose work it does again; that one is marked in the same breath."""

    def fingerprint(self) -> bytes:
        """16 bytes that differ when anything but the request id and the account does.

        A redrive is the same one whenever it is to start. What has been added since the first version counts only where it
        is given: a retry of an older request is still known.
        """
        digest = hashlib.blake2b(self.payload, digest_size=16)
        digest.update(_terms(self.tier, self.kind, self.cost_ms, self.start_within, self.attempts_max))
        not_before = 0.0 if self.redrives else self.not_before
        if self.labels or not_before:
            digest.update(repr((self.labels, not_before)).encode())
        return digest.digest()


@lru_cache(maxsize=1024, typed=True)
def _terms(*terms: object) -> bytes:
    """The terms of a job as text; few jobs differ in them."""
    return repr(terms).encode()


class Job(Struct, frozen=True, gc=False):
    """A job as it stands, without its payload and result. Moments are in seconds since the epoch."""

    number: int
    """The order of acceptance, given by the engine; 0 until then."""
    job_id: str
    account_id: str
    tier: str
    kind: str
    cost_ms: int
    attempts_max: int
    created_at: float
    expires_at: float
    """Given up if no attempt has begun by then."""
    state: JobState
    sequence: int
    """The number of its latest event."""
    attempt: int = 0
    token: int = 0
    """The fencing token of its latest lease; grows with each."""
    worker_id: str = ""
    not_before: float = 0.0
    """While it waits: when the next attempt may begin; 0: at once."""
    started_at: float | None = None
    finished_at: float | None = None
    failure: Failure | None = None
    labels: Labels = ()
    redriven_by: str = ""
    """The job that does its work again; only a failed one has it."""


class JobEvent(Struct, frozen=True, gc=False):
    """A job entered `state`. `failure` tells how the attempt before ended, how the job did, or why it is DEFERRED."""

    sequence: int
    at: float
    state: JobState
    attempt: int = 0
    worker_id: str = ""
    failure: Failure | None = None
    result: bytes = b""


class Transition(Struct, frozen=True, gc=False):
    """One change of one job: the record before (None: it is new) and after, and the event that tells of it."""

    before: Job | None
    job: Job
    event: JobEvent
    cost_ms: int | None = None
    """What the attempt that ended really cost; None: nothing else is known than what was expected."""
