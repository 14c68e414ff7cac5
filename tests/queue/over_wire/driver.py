"""Does one thing after the other with a running queue, and holds each answer against the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from itertools import zip_longest
from math import ceil
from pathlib import Path
from typing import Any

import grpc

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.queue import transitions
from mezzotint.queue.encoding import job_message, new_job, sight_message
from mezzotint.queue.job import JobState
from mezzotint.queue.watching import Sight
from mezzotint.runtime.tls import Authority
from tests.queue.operating import Operator
from tests.queue.over_wire.messages import moved, plain, ref, result_of, until_it_ends
from tests.queue.over_wire.model import BACKOFF_SECONDS, GRACE_SECONDS, LEASE_SECONDS, Model
from tests.queue.over_wire.operator_side import OperatorSide
from tests.queue.over_wire.worker_side import WorkerSide
from tests.queue.wire import Caller, queue_server, refusal, within
from tests.support.clock import ManualClock

POLICY = "tiers:\n  - name: free\n  - name: pro\n"


class Driver:
    """One queue on one data folder, its callers, its operator and one worker."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.model = Model(self.clock)
        self._folder = folder
        self._authority = Authority.open(folder)
        self._life = AsyncExitStack()
        self.worker: WorkerSide
        self.operator: OperatorSide
        self._queue: Caller
        self._watches: dict[str, Any] = {}
        self._seen: dict[str, list[job_pb2.JobEvent]] = {}
        (folder / "tiers.yaml").write_text(POLICY)

    async def start(self) -> None:
        """Serve."""
        changes: dict[str, Any] = {
            "tiers": self._folder / "tiers.yaml",
            "lease_seconds": LEASE_SECONDS,
            "grace_seconds": GRACE_SECONDS,
            "backoff_seconds": BACKOFF_SECONDS,
            "drain_seconds": 0.1,
            "tick_seconds": 0.005,
        }
        server = queue_server(self._folder, self._authority, self.clock, **changes)
        self._queue = await self._life.enter_async_context(server)
        operator = Operator(self._queue, self._authority)
        self._life.push_async_callback(operator.channel.close)
        self.worker = WorkerSide(self._queue, operator, self.model, self.clock)
        self.operator = OperatorSide(self._queue, operator, self.model, self.clock, self.worker)

    async def stop(self) -> None:
        """Stop, as SIGTERM would: every stream that is not over is told so."""
        for job_id in list(self._watches):
            await self.watch_on(job_id)
        self._queue.stop()
        for stream in [*self._watches.values(), *self.worker.streams]:
            assert await refusal(until_it_ends(stream)) == "SERVER_DRAINING"
        self._watches.clear()
        await self.close()

    async def close(self) -> None:
        """Hang up and stop."""
        await self._life.aclose()

    async def restart(self) -> None:
        """Stop and start again on what is on the disk."""
        await self.stop()
        self.model.leave()
        await self.start()

    async def enqueue(self, **fields: Any) -> None:
        """Enqueue a job, which may have been enqueued before, or another one under its request id."""
        message = queue_pb2.NewJob(kind="image.generate", account_id="a", **fields)
        new, request = new_job(message), queue_pb2.EnqueueJobRequest(job=message)
        if earlier := self.model.earlier(new):
            job, same = earlier
            if not same:
                assert await refusal(self._queue.stub.EnqueueJob(request)) == "REQUEST_ID_REUSED"
                return
        answer = await self._queue.stub.EnqueueJob(request)
        if earlier:
            assert (answer.replayed, answer.job) == (True, job_message(job))
            return
        assert not answer.replayed
        assert answer.job.job_id not in self.model.jobs
        assert answer.job == job_message(self.model.accept(new, answer.job.job_id))
        await self.worker.hear()

    async def cancel(self, job_id: str) -> None:
        """Cancel a job in whatever state."""
        job, told = self.model.jobs[job_id], {ref(self.model.jobs[job_id])}
        if job.state.final and job.state is not JobState.CANCELLED:
            assert await refusal(self._queue.cancel(job_id)) == "JOB_FINISHED"
            return
        cancelled = await self._queue.cancel(job_id, "enough")
        if not job.state.final:
            self.model.apply(transitions.cancel(job, "enough", self.clock.now()))
        assert cancelled == job_message(self.model.jobs[job_id])
        await self.worker.hear(told if job.state is JobState.RUNNING and self.model.connected else ())

    async def advance(self, seconds: int) -> None:
        """Time passes, and stops where a job comes to its time that is too late at the end: either may be first then."""
        end = self.clock.now() + seconds
        late = [job for job in self.model.jobs.values() if job.state is JobState.DEFERRED and job.expires_at <= end]
        for moment in sorted({*(float(ceil(job.not_before)) for job in late), end}):
            await self._advance(moment - self.clock.now())

    async def _advance(self, seconds: float) -> None:
        before = {job_id: job.sequence for job_id, job in self.model.jobs.items()}
        self.clock.advance(seconds)
        ended = self.model.pass_time()
        await self.worker.hear(ended if self.model.connected else ())
        await self.worker.reach(job_id for job_id, job in self.model.jobs.items() if job.sequence > before[job_id])

    async def watch_on(self, job_id: str) -> None:
        """A watcher reads on from the last sequence that it saw, on its open stream or on a new one."""
        seen, told = self._seen.setdefault(job_id, []), self.model.events[job_id]
        if len(seen) < len(told):
            resumed = job_id not in self._watches
            if resumed:
                self._watches[job_id] = self._queue.watch(job_id, after=len(seen))
            while len(seen) < len(told):
                response = await within(self._watches[job_id].read())
                assert response is not grpc.aio.EOF, f"the watch ended after {seen}"
                if resumed or not moved(seen[-1], response.event):
                    seen.append(plain(response.event))
                resumed = False
        assert seen == [plain(sight_message(Sight(event.sequence, event.at, event))) for event in told]
        if self.model.jobs[job_id].state.final and (watch := self._watches.pop(job_id, None)):
            assert await within(watch.read()) is grpc.aio.EOF

    async def watch_the_future(self, job_id: str) -> None:
        """A watcher names a sequence that has not been reached."""
        ahead = self.model.jobs[job_id].sequence + 1
        assert await refusal(self._queue.watch(job_id, after=ahead).read()) == "SEQUENCE_AHEAD"

    async def read(self, job_id: str) -> None:
        """One job, with its result."""
        job = self.model.jobs[job_id]
        answer = await self._queue.stub.GetJob(queue_pb2.GetJobRequest(job_id=job_id))
        done = job.state is JobState.SUCCEEDED
        assert (answer.job, answer.result) == (job_message(job), result_of(job) if done else b"")

    async def list_jobs(
        self, tier: str = "", states: Iterable[JobState] = (), page_size: int = 100, labels: Mapping[str, str] | None = None
    ) -> None:
        """All jobs of a tier, of states and with labels, page by page."""
        wanted, request = list(states), queue_pb2.ListJobsRequest(tier=tier, page_size=page_size, labels=labels or {})
        request.states.extend(int(state) for state in wanted)  # type: ignore[misc]  # the contract's numbers
        jobs: list[job_pb2.Job] = []
        while True:
            page = await self._queue.stub.ListJobs(request)
            assert page.jobs or not jobs, "a page is empty"
            jobs += page.jobs
            if not page.next_page_token:
                break
            assert len(page.jobs) == page_size
            request.page_token = page.next_page_token
        told = [job_message(job) for job in reversed(self.model.asked(tier, wanted, labels or {}))]
        assert jobs == told, [pair for pair in zip_longest(jobs, told) if pair[0] != pair[1]]
