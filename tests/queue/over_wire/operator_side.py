"""The operator's side of a running queue: what it does, and every dead job that it must find."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.api.queue.v1 import admin_pb2, queue_pb2
from mezzotint.queue.encoding import job_message
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.redrive import again
from tests.queue.operating import Operator
from tests.queue.over_wire.model import Model
from tests.queue.over_wire.worker_side import WorkerSide
from tests.queue.wire import Caller, refusal
from tests.support.clock import ManualClock


class OperatorSide:
    """An operator in one life of the queue."""

    def __init__(self, queue: Caller, operator: Operator, model: Model, clock: ManualClock, worker: WorkerSide) -> None:
        self._queue = queue
        self._operator = operator
        self._model = model
        self._clock = clock
        self._worker = worker

    async def pause(self, tier: str) -> None:
        """Stop a tier."""
        await self._operator.pause(tier)
        self._model.paused.add(tier)

    async def resume(self, tier: str) -> None:
        """Let a tier go on."""
        await self._operator.resume(tier)
        self._model.paused.discard(tier)
        await self._worker.hear()

    async def list_dead(self, tier: str, reason: str, page_size: int) -> None:
        """All dead jobs of a tier and reason, page by page, with what they were to do."""
        page = await self._operator.dead(tier=tier, reason=reason, page_size=page_size)
        found = list(page.jobs)
        while token := page.next_page_token:
            assert len(page.jobs) == page_size
            page = await self._operator.dead(tier=tier, reason=reason, page_size=page_size, page_token=token)
            assert page.jobs
            found += page.jobs
        dead = self._model.dead(tier, reason)[::-1]
        assert [each.job for each in found] == [job_message(job) for job in dead]
        payloads = [self._model.payloads[job.job_id] for job in dead]
        assert [(each.payload_preview, each.payload_bytes) for each in found] == [(each, len(each)) for each in payloads]

    async def redrive(self, tier: str, reason: str, per_second: float) -> None:
        """Have all dead jobs of a tier and reason done again."""
        answer = await self._operator.redrive(tier=tier, reason=reason, per_second=per_second)
        await self._expect(self._model.dead(tier, reason), per_second, answer)

    async def redrive_named(self, job_ids: Sequence[str], per_second: float) -> None:
        """Have these jobs done again: none when one of them has not failed, else those that were not before."""
        jobs = [self._model.jobs[job_id] for job_id in job_ids]
        call = self._operator.redrive(*job_ids, per_second=per_second)
        if any(job.state is not JobState.FAILED for job in jobs):
            assert await refusal(call) == "FIELD_INVALID"
            return
        await self._expect([job for job in jobs if not job.redriven_by], per_second, await call)

    async def _expect(self, dead: list[Job], per_second: float, answer: admin_pb2.RedriveJobsResponse) -> None:
        """Exactly these were redriven: each by a new job, one after the other at the rate, and is marked with it."""
        begin = self._clock.now()
        assert answer.redriven == len(dead)
        assert answer.HasField("last_not_before") == bool(dead)
        if not dead:
            return
        newest = await self._queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=len(dead)))
        made = [job.job_id for job in reversed(newest.jobs)]
        for index, (job, job_id) in enumerate(zip(dead, made, strict=True)):
            payload = self._model.payloads[job.job_id]
            self._model.redrive(job, again(job, payload, begin + index / per_second), job_id)
        last = Timestamp()
        last.FromNanoseconds(round((begin + (len(dead) - 1) / per_second) * 1e9))
        assert abs(answer.last_not_before.ToNanoseconds() - last.ToNanoseconds()) < 1_000
        await self._worker.hear()
