"""Failed jobs done again: each once, one after the other at a given rate."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mezzotint.queue.engine import Engine, Enqueued, JobQuery
from mezzotint.queue.intake import Intake
from mezzotint.queue.job import Job, JobState, NewJob
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.store import OperatorStore, Payload
from mezzotint.runtime import logging
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import FieldInvalid, JobFinished, JobNotFound, MezzotintError, RequestIdReused

log = logging.get(__name__)
# Of a query that names no job.
REDRIVES_MAX = 10_000
# Jobs that are redriven at once: their payloads are in memory together.
BATCH = 100
PAYLOAD_BYTES_MAX = 64 * 1024
START_WITHIN_SECONDS_MAX = 604_800.0
# The job to redrive is gone, was redriven by somebody else meanwhile, or its request id is in use: passed over.
PASSED_OVER = (JobNotFound, JobFinished, RequestIdReused)


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many new jobs there are, and when the last of them may start; None without one."""

    jobs: int
    last_not_before: float | None


class Redriver:
    """Makes a new job for each dead one, with its account, tier, kind, payload and labels."""

    def __init__(self, intake: Intake, ledger: Ledger, engine: Engine, store: OperatorStore, clock: Clock) -> None:
        self._intake = intake
        self._ledger = ledger
        self._engine = engine
        self._store = store
        self._clock = clock

    async def redrive(self, job_ids: Sequence[str], tier: str, reason: str, per_second: float) -> Redriven:
        """Redrive these jobs, or all dead ones of a tier ("": of any) and reason, oldest first.

        Raises FieldInvalid, and then nothing was redriven, when a named job is unknown or has not failed; ServerOverloaded,
        StorageFull, and then what was redriven until then stays.
        """
        dead = await self._named(job_ids, tier, reason) if job_ids else await self._found(tier, reason)
        begin, jobs, last = self._clock.now(), 0, None
        for start in range(0, len(dead), BATCH):
            batch = dead[start : start + BATCH]
            payloads = await self._store.payloads([job.job_id for job in batch], PAYLOAD_BYTES_MAX)
            # Those that were passed over take no time of the others.
            requests = [(job, payload) for job in batch if (payload := payloads.get(job.job_id))]
            moments = [begin + (jobs + index) / per_second for index in range(len(requests))]
            outcomes = await asyncio.gather(
                *(self._again(job, payload, at) for (job, payload), at in zip(requests, moments, strict=True))
            )
            for outcome, at in zip(outcomes, moments, strict=True):
                if isinstance(outcome, Enqueued) and not outcome.replayed:
                    jobs, last = jobs + 1, at
            for outcome in outcomes:
                if isinstance(outcome, MezzotintError):
                    raise outcome
        return Redriven(jobs, last)

    async def _named(self, job_ids: Sequence[str], tier: str, reason: str) -> list[Job]:
        """The named jobs that are dead and asked for; those that were redriven before are left out."""
        dead: list[Job] = []
        for index, job_id in enumerate(dict.fromkeys(job_ids)):
            try:
                job, _ = await self._ledger.get(job_id)
            except JobNotFound as error:
                raise FieldInvalid.of(f"job_ids[{index}]", f"there is no job {job_id}; nothing was redriven") from error
            if job.state is not JobState.FAILED:
                text = f"job {job_id} is {job.state.name.lower()}, and only a failed job can be redriven; nothing was"
                raise FieldInvalid.of(f"job_ids[{index}]", text)
            right = tier in ("", job.tier) and (not reason or (job.failure is not None and job.failure.reason == reason))
            if right and not job.redriven_by:
                dead.append(job)
        return dead

    async def _found(self, tier: str, reason: str) -> list[Job]:
        """The dead jobs of a tier and reason, the oldest first."""
        dead = await self._engine.search(JobQuery("", frozenset(), 0, REDRIVES_MAX, tier=tier, reason=reason, dead=True))
        return dead[::-1]

    async def _again(self, job: Job, payload: Payload, at: float) -> Enqueued | MezzotintError | None:
        """Enqueue a dead job's work; None when it is passed over, the error when it could not be."""
        try:
            return await self._intake.enqueue(again(job, payload.begin, at))
        except PASSED_OVER as error:
            log.warning("a job was not redriven", job_id=job.job_id, reason=error.reason, error=error.message)
            return None
        except MezzotintError as error:
            return error


def again(job: Job, payload: bytes, at: float) -> NewJob:
    """The request for a dead job's work, to start at `at`. It has as much time to start as the dead job had, 7 days at most."""
    return NewJob(
        request_id=f"redrive:{job.job_id}",
        account_id=job.account_id,
        tier=job.tier,
        kind=job.kind,
        payload=payload,
        cost_ms=job.cost_ms,
        start_within=min(START_WITHIN_SECONDS_MAX, job.expires_at - job.created_at),
        attempts_max=job.attempts_max,
        labels=job.labels,
        not_before=at,
        redrives=job.job_id,
    )
