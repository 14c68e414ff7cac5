"""Jobs in memory: the same promises but for durability. For tests, and for trying things out."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from mezzotint.queue.engine import Candidate, Enqueued, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.store import Payload
from mezzotint.runtime.errors import JobFinished, JobNotFound, MezzotintError, RequestIdReused


class MemoryEngine:
    """An Engine that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._events: dict[str, list[JobEvent]] = {}
        self.payloads: dict[str, bytes] = {}
        self._requests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._number = 0

    async def recover(self) -> list[Job]:
        """Every job that is not final."""
        return [job for job in self._jobs.values() if not job.state.final]

    async def enqueue(self, candidates: Sequence[Candidate]) -> list[Enqueued | MezzotintError]:
        """Keep new jobs or find the earlier ones."""
        return [self._judge(candidate) for candidate in candidates]

    def _judge(self, candidate: Candidate) -> Enqueued | MezzotintError:
        try:
            return self._admit(*candidate)
        except MezzotintError as error:
            return error

    def _admit(self, accepted: Transition, new: NewJob, refusal: MezzotintError | None) -> Enqueued:
        key = (new.account_id, new.request_id)
        if key in self._requests:
            job_id, fingerprint = self._requests[key]
            if fingerprint != new.fingerprint():
                raise RequestIdReused(f"request id {new.request_id!r} was used for another job; choose a new one")
            return Enqueued(self._jobs[job_id], replayed=True)
        if refusal:
            raise refusal
        dead = self._require_dead(new.redrives) if new.redrives else None
        self._number += 1
        job = numbered(accepted.job, self._number)
        self._requests[key] = (job.job_id, new.fingerprint())
        self.payloads[job.job_id] = new.payload
        self._jobs[job.job_id] = job
        self._events[job.job_id] = [accepted.event]
        if dead:
            self._jobs[dead.job_id] = replace(dead, redriven_by=job.job_id)
        return Enqueued(job, replayed=False)

    def _require_dead(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or not job.state.final:
            raise JobNotFound(f"there is no finished job {job_id}")
        if job.state is not JobState.FAILED or job.redriven_by:
            raise JobFinished(f"job {job_id} has not failed, or was redriven before")
        return job

    async def start(self, change: Transition) -> bytes:
        """Make a change to RUNNING and give the payload."""
        await self.commit(change)
        return self.payloads[change.job.job_id]

    async def commit(self, change: Transition) -> None:
        """Make any other change."""
        job = change.job
        assert self._jobs[job.job_id] == change.before, f"{job.job_id} was changed from a record that is not its own"
        self._jobs[job.job_id] = job
        self._events[job.job_id].append(change.event)
        if job.state is JobState.SUCCEEDED:
            self.payloads[job.job_id] = b""

    async def find(self, job_id: str) -> tuple[Job, bytes]:
        """A job and its result."""
        if job_id not in self._jobs:
            raise JobNotFound(f"there is no job {job_id}")
        return self._jobs[job_id], self._events[job_id][-1].result

    async def search(self, query: JobQuery) -> list[Job]:
        """Jobs, newest first."""
        found = (job for job in reversed(self._jobs.values()) if matches(job, query))
        return [job for job, _ in zip(found, range(query.limit), strict=False)]

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        """The events of a job after a sequence."""
        return self._events.get(job_id, [])[after:]

    async def forget(self, finished_before: float, limit: int) -> int:
        """Drop jobs that were final before a moment."""
        old = [job for job in self._jobs.values() if job.finished_at is not None and job.finished_at < finished_before][:limit]
        for job in old:
            del self._jobs[job.job_id], self._events[job.job_id], self.payloads[job.job_id]
        gone = {job.job_id for job in old}
        self._requests = {key: value for key, value in self._requests.items() if value[0] not in gone}
        return len(old)


class MemoryOperatorStore:
    """An OperatorStore beside an engine in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._paused: frozenset[str] = frozenset()

    async def paused(self) -> frozenset[str]:
        """The tiers that are paused."""
        return self._paused

    async def pause(self, tier: str) -> None:
        """The tier is paused from now on."""
        self._paused |= {tier}

    async def resume(self, tier: str) -> None:
        """The tier is not paused any more."""
        self._paused -= {tier}

    async def payloads(self, job_ids: Collection[str], bytes_max: int) -> Mapping[str, Payload]:
        """What these jobs are to do."""
        found = ((job_id, self._engine.payloads.get(job_id)) for job_id in job_ids)
        return {job_id: Payload(payload[:bytes_max], len(payload)) for job_id, payload in found if payload is not None}


def matches(job: Job, query: JobQuery) -> bool:
    """The query asks for the job."""
    return (
        (not query.states or job.state in query.states)
        and query.account_id in ("", job.account_id)
        and query.tier in ("", job.tier)
        and query.kind in ("", job.kind)
        and set(query.labels) <= set(job.labels)
        and (not query.reason or (job.failure is not None and job.failure.reason == query.reason))
        and (not query.dead or (job.state is JobState.FAILED and not job.redriven_by))
        and not (query.before and job.number >= query.before)
    )


def numbered(job: Job, number: int) -> Job:
    """The job with its place in the order of acceptance."""
    assert job.state in (JobState.QUEUED, JobState.DEFERRED), "only a new job is numbered"
    return replace(job, number=number)
