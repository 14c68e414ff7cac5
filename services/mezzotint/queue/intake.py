"""Accepts jobs, many at once: judged here, kept by the engine, then open and told of."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial

from mezzotint.queue import transitions
from mezzotint.queue.engine import Candidate, Engine, Enqueued
from mezzotint.queue.job import NewJob, Transition
from mezzotint.queue.lot import result_of
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.queue.tiers import Policy
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import FieldInvalid, MezzotintError, TierUnknown

NOT_BEFORE_SECONDS_MAX = 30 * 86_400.0
Outcome = Enqueued | MezzotintError


class Intake:
    """`tiers` are those that jobs are accepted in; `defers` says why a new job of a tier and kind is deferred, "" when not."""

    def __init__(
        self,
        engine: Engine,
        jobs: OpenJobs,
        clock: Clock,
        new_id: NewId,
        tiers: Collection[str],
        defers: Callable[[str, str], str] = lambda tier, kind: "",
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._clock = clock
        self._new_id = new_id
        self.tiers = tiers
        self._defers = defers

    async def enqueue(self, new: NewJob) -> Enqueued:
        """Accept a job. Raises TierUnknown, FieldInvalid, ServerOverloaded, RequestIdReused, StorageFull."""
        outcome = (await self.enqueue_all((new,)))[0]
        if isinstance(outcome, MezzotintError):
            raise outcome
        return outcome

    def enqueue_all(self, news: Sequence[NewJob]) -> "asyncio.Future[list[Outcome]]":
        """Accept jobs, each by itself; gives what became of each. They are accepted even if nobody waits for that any more."""
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        now = self._clock.now()
        # Asked once for all of a tier and kind: jobs come by the hundred.
        defers = cache(self._defers) if len(news) > 1 else self._defers
        judged = [self._judge(new, now, defers) for new in news]
        candidates = [each for each in judged if isinstance(each, Candidate)]
        if not candidates:
            answer.set_result([each for each in judged if isinstance(each, MezzotintError)])
            return answer
        keeping = asyncio.ensure_future(self._engine.enqueue(candidates))
        # Whoever finds one in the store before its answer is here waits for that.
        self._jobs.changing.update(dict.fromkeys(map(_job_id, candidates), keeping))
        keeping.add_done_callback(partial(self._kept, judged, candidates, answer))
        return answer

    def follow(self, policy: Policy) -> None:
        """Accept jobs in the tiers of this policy from now on."""
        self.tiers = policy.names()

    def _judge(self, new: NewJob, now: float, defers: Callable[[str, str], str]) -> Candidate | MezzotintError:
        """The job as it would be accepted, its room taken; the error when it cannot be, whatever is kept."""
        if new.tier not in self.tiers:
            names = ", ".join(self.tiers)
            return TierUnknown(f"there is no tier {new.tier!r}; the tiers are {names}", metadata={"tiers": names})
        if new.not_before > now + NOT_BEFORE_SECONDS_MAX:
            return FieldInvalid.of("job.not_before", "must be at most 30 days from now; enqueue the job later")
        accepted = transitions.accept(new, self._new_id("job"), now, defers(new.tier, new.kind))
        full = self._jobs.capacity.refusal(new.account_id)
        self._jobs.capacity.add(accepted.job)
        return Candidate(accepted, new, full)

    def _kept(
        self,
        judged: Sequence[Candidate | MezzotintError],
        candidates: Sequence[Candidate],
        answer: "asyncio.Future[list[Outcome]]",
        keeping: "asyncio.Future[Sequence[Outcome]]",
    ) -> None:
        """The engine has answered: tell the caller what became of each job."""
        for candidate in candidates:
            del self._jobs.changing[candidate.accepted.job.job_id]
        kept = result_of(keeping)
        if isinstance(kept, BaseException):
            for candidate in candidates:
                self._jobs.capacity.remove(candidate.accepted.job)
            if not answer.done():
                answer.set_exception(kept)
            return
        outcomes = iter(self._open(candidates, kept))
        if not answer.done():
            answer.set_result([next(outcomes) if isinstance(each, Candidate) else each for each in judged])

    def _open(self, candidates: Sequence[Candidate], kept: Sequence[Outcome]) -> list[Outcome]:
        """Open the jobs that are new, and give back the room of the others; gives the outcomes as they stand now."""
        outcomes: list[Outcome] = []
        begun: list[Transition] = []
        for candidate, outcome in zip(candidates, kept, strict=True):
            if isinstance(outcome, Enqueued) and not outcome.replayed:
                begun.append(Transition(None, outcome.job, candidate.accepted.event))
                outcomes.append(outcome)
            else:
                self._jobs.capacity.remove(candidate.accepted.job)
                outcomes.append(outcome if isinstance(outcome, MezzotintError) else self._now(outcome))
        self._jobs.begin(begun)
        return outcomes

    def _now(self, replayed: Enqueued) -> Enqueued:
        """The job of an earlier request, as it stands in memory if it is open: the store may be ahead of what was told."""
        return Enqueued(self._jobs.get(replayed.job.job_id) or replayed.job, replayed=True)


def _job_id(candidate: Candidate) -> str:
    return candidate.accepted.job.job_id
