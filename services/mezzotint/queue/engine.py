"""The port to whatever keeps jobs: durable, and the only judge of what was accepted."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec import Struct

from mezzotint.queue.job import Job, JobEvent, JobState, Labels, NewJob, Transition
from mezzotint.runtime.errors import MezzotintError


class StoreUnavailable(OSError):
    """The store cannot be opened or has failed; the message says why and what to do. The process must stop."""


class Enqueued(Struct, frozen=True, gc=False):
    """The job as it was accepted, or as it stands when an earlier call with this request id was."""

    job: Job
    replayed: bool


class Candidate(NamedTuple):
    """A job that somebody wants accepted; with `refusal` only if it was accepted before."""

    accepted: Transition
    new: NewJob
    refusal: MezzotintError | None = None


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Jobs of one account ("": of all), in these states (empty: in any), with numbers below `before` (0: from the newest).

    Empty filters ask for nothing in particular. A job has all of `labels`, and failed for `reason`.
    """

    account_id: str
    states: frozenset[JobState]
    before: int
    limit: int
    tier: str = ""
    kind: str = ""
    labels: Labels = ()
    reason: str = ""
    dead: bool = False
    """Only failed jobs that were not redriven."""


class Engine(Protocol):
    """Keeps jobs, their payloads, results and events.

    Every change is atomic, begins with the call, and is durable when its outcome is there; nothing undoes one that has begun.
    What is asked for in one call is kept at once or, where the disk is full, not at all; at the store's own bound each new job
    is judged by itself. What is refused changes nothing.
    Changes of one job come one after the other, each when the one before is durable and from the record that it left; the
    engine refuses any other as a defect. Changes and reads raise StoreUnavailable when
    the store has failed; nothing is known then of the change under way, and the process must stop and recover.
    """

    async def recover(self) -> list[Job]:
        """Every job that is not final, in the order of acceptance. Called once, before anything else."""
        ...

    def enqueue(self, candidates: Sequence[Candidate]) -> Awaitable[Sequence[Enqueued | MezzotintError]]:
        """Keep new jobs, or find those that earlier requests with their accounts and ids made; gives what became of each.

        One with a `refusal` is only looked for, and refused with it when it is new. A job that redrives another marks it in the
        same change. The errors are RequestIdReused, StorageFull, the refusal, and for a redrive JobNotFound, JobFinished when
        that job is gone or was redriven.
        """
        ...

    def start(self, change: Transition) -> Awaitable[bytes]:
        """Make a change to RUNNING and give the payload. Raises StorageFull."""
        ...

    def commit(self, change: Transition) -> Awaitable[None]:
        """Make any other change. Raises StorageFull."""
        ...

    async def find(self, job_id: str) -> tuple[Job, bytes]:
        """A job and its result, empty without one. Raises JobNotFound."""
        ...

    async def search(self, query: JobQuery) -> list[Job]:
        """Jobs, newest first."""
        ...

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        """The events of a job after a sequence, in order. Empty for a job that is not kept."""
        ...

    async def forget(self, finished_before: float, limit: int) -> int:
        """Drop up to `limit` jobs that were final before a moment, with all that belongs to them; gives how many."""
        ...
