"""Which jobs are deferred at a peak, and why. Pure."""

import math
from collections.abc import Collection

from mezzotint.queue.clock_steps import ClockSteps
from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Kinds, Moment
from mezzotint.queue.peak import PeakController, PeakMode
from mezzotint.queue.tiers import Policy

AT_PEAK = "many pictures are asked for just now; its turn comes at the pace that is kept for its tier, or when there is room"
AFTER_PEAK = "jobs that were deferred at a peak go before it"


class Deferral:
    """The policy's deferrable tiers, and the controller, which is told what the others wait."""

    def __init__(self, policy: Policy, kinds: Kinds, steps: ClockSteps) -> None:
        self.peak = PeakController(policy.wait_objective_seconds)
        self._kinds = kinds
        self._steps = steps
        # When each tier was last seen paused.
        self._paused_at: dict[str, float] = {}
        self.tiers = policy.deferrable()
        """The tiers that can be deferred."""

    def reason(self, tier: str, kind: str) -> str:
        """Why a new job is deferred, for people; "" when it is not."""
        if tier not in self.tiers:
            return ""
        if self.peak.mode is PeakMode.DEFERRING:
            return AT_PEAK
        return AFTER_PEAK if self._kinds.deferred(tier, kind) else ""

    def started(self, job: Job, moment: Moment) -> None:
        """A job was picked; the first starts of those that are never deferred tell of a peak.

        What a job waits for others of its account to end, or for an operator, says nothing of how much work there is.
        """
        if not job.attempt and job.tier not in self.tiers:
            flow = self._kinds.of(job.kind).scheduler.lines.of(job.tier).accounts.find(job.account_id)
            assert flow, f"{job.job_id} is under way"
            since = max(self._steps.waits_since(job), flow.free_at, self._paused_at.get(job.tier, -math.inf))
            self.peak.observe(moment.at, moment.at - since)

    def update(self, at: float, served: Collection[str]) -> None:
        """Look at the waits, which say nothing of kinds that are not `served` by any worker.

        Under pressure the tiers that can be deferred get their floor and what the others leave.
        """
        self._paused_at |= dict.fromkeys(self._kinds.paused, at)
        mode = self.peak.update(at, waiting=self._kinds.others_wait(self.tiers, served), served=bool(served))
        self._kinds.give_way(frozenset() if mode is PeakMode.NORMAL else self.tiers)

    def replace(self, policy: Policy) -> None:
        """Another policy is in force from now on."""
        self.tiers = policy.deferrable()
        self.peak.objective = policy.wait_objective_seconds
