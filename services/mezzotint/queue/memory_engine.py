"""Jobs in memory: the same promises but for durability. For tests, and for trying things out."""

from dataclasses import replace

from mezzotint.queue.engine import Enqueued, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.runtime.errors import JobNotFound, MezzotintError, RequestIdReused


class MemoryEngine:
    """An Engine that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._events: dict[str, list[JobEvent]] = {}
        self._payloads: dict[str, bytes] = {}
        self._requests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._number = 0

    async def recover(self) -> list[Job]:
        """Every job that is not final."""
        return [job for job in self._jobs.values() if not job.state.final]

    async def enqueue(self, accepted: Transition, new: NewJob, refusal: MezzotintError | None = None) -> Enqueued:
        """Keep a new job or find the earlier one."""
        key = (new.account_id, new.request_id)
        if key in self._requests:
            job_id, fingerprint = self._requests[key]
            if fingerprint != new.fingerprint():
                raise RequestIdReused(f"request id {new.request_id!r} was used for another job; choose a new one")
            return Enqueued(self._jobs[job_id], replayed=True)
        if refusal:
            raise refusal
        self._number += 1
        job = numbered(accepted.job, self._number)
        self._requests[key] = (job.job_id, new.fingerprint())
        self._payloads[job.job_id] = new.payload
        self._jobs[job.job_id] = job
        self._events[job.job_id] = [accepted.event]
        return Enqueued(job, replayed=False)

    async def start(self, change: Transition) -> bytes:
        """Make a change to RUNNING and give the payload."""
        await self.commit(change)
        return self._payloads[change.job.job_id]

    async def commit(self, change: Transition) -> None:
        """Make any other change."""
        job = change.job
        assert self._jobs[job.job_id] == change.before, f"{job.job_id} was changed from a record that is not its own"
        self._jobs[job.job_id] = job
        self._events[job.job_id].append(change.event)

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
            del self._jobs[job.job_id], self._events[job.job_id], self._payloads[job.job_id]
        gone = {job.job_id for job in old}
        self._requests = {key: value for key, value in self._requests.items() if value[0] not in gone}
        return len(old)


def matches(job: Job, query: JobQuery) -> bool:
    """The query asks for the job."""
    asked = not query.states or job.state in query.states
    return asked and query.account_id in ("", job.account_id) and not (query.before and job.number >= query.before)


def numbered(job: Job, number: int) -> Job:
    """The job with its place in the order of acceptance."""
    assert job.state is JobState.QUEUED, "only a new job is numbered"
    return replace(job, number=number)
