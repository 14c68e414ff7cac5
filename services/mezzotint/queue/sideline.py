"""The deferred jobs of one tier, admitted at a given rate, in an order fair to its accounts. Pure."""

from dataclasses import replace

from mezzotint.queue.job import Job
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier

# A pause in which nothing is admitted is made up for so long at most.
BURST_SECONDS = 1.0


class Sideline:
    """A bucket of tokens, in milliseconds of work: jobs are admitted while it is not empty, and may overdraw it by one."""

    def __init__(self, tier: Tier) -> None:
        self._line = TierLine(_unlimited(tier))
        self._tokens = 0.0
        self._at: float | None = None

    def __len__(self) -> int:
        return len(self._line)

    @property
    def aged(self) -> int:
        """Admissions moved up because their account had waited for too long."""
        return self._line.aged

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job is deferred."""
        self._line.add(job, front=front)

    def discard(self, job: Job) -> bool:
        """A job is not deferred any more; False when it was not."""
        return self._line.discard(job)

    def replace(self, tier: Tier) -> None:
        """The tier promises something else from now on."""
        self._line.replace(_unlimited(tier))

    def admit(self, now: float, at: float, rate: float) -> list[Job]:
        """The jobs deferred no longer, at wall time `now` and monotonic time `at`; `rate` in ms of work a second since."""
        if self._at is not None:
            self._tokens = min(self._tokens + rate * (at - self._at), rate * BURST_SECONDS)
        self._at = at
        admitted: list[Job] = []
        while self._tokens >= 0 and len(self._line):
            job = self._line.pop(now)
            self._line.release(job, job.cost_ms)
            self._tokens -= job.cost_ms
            admitted.append(job)
        return admitted

    def before(self, job: Job) -> tuple[int, int] | None:
        """The deferred jobs expected to be admitted before this one and their work in ms; None when it is not deferred."""
        return self._line.before(job)


def _unlimited(tier: Tier) -> Tier:
    """How many jobs of an account may run says nothing of how many are admitted."""
    return replace(tier, account_running_max=None)
