"""What jobs that wait can expect: how many go before them, and what part of the work their tier gets. Pure."""

from dataclasses import dataclass

from mezzotint.queue.grants import WINDOW_SECONDS
from mezzotint.queue.job import Job
from mezzotint.queue.shares import TierShares
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tier_lines import TierLines


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected to start before a job: how many jobs, and how many milliseconds of work; `own_ms` of it in its tier.

    `held_up`: it waits for jobs of its own account to end as well, or its tier is paused; how long is not known.
    """

    jobs: int
    cost_ms: float
    own_ms: int
    held_up: bool = False


class Outlook:
    """Reads a scheduler's lines and shares, which it changes nothing of."""

    def __init__(self, lines: TierLines, shares: TierShares) -> None:
        self._lines = lines
        self._shares = shares

    def ahead(self, job: Job) -> Ahead | None:
        """What is expected to start before `job`; None when it is not ready.

        Exact within its tier but for costs corrected since it was added; the other tiers are taken to move on by their shares.
        """
        line = self._lines.of(job.tier)
        own = line.before(job)
        if own is None:
            return None
        jobs, cost_ms = own
        shares = self._shares.proportions.of({job.tier, *self._lines.busy()})
        total_jobs, total_cost = float(jobs), float(cost_ms)
        for name in shares.keys() - {job.tier}:
            ranks = self._lines.by_tier[name].ranks
            part = min(1.0, cost_ms * shares[name] / shares[job.tier] / ranks.cost_ms) if ranks.cost_ms else 0.0
            total_jobs += part * ranks.count
            total_cost += part * ranks.cost_ms
        return Ahead(round(total_jobs), total_cost, cost_ms, job.tier in self._lines.paused or _held_up(line, job))

    def share(self, tier: str, rate: float) -> float:
        """The part of all work, `rate` ms a second, that the tier can count on: what it is promised, or what the others leave.

        What others got over the last minute they are taken to go on asking for, whether they have work this very moment or not.
        """
        self._lines.of(tier)
        granted = self._shares.grants.work_ms
        others = {name for name, work in granted.items() if name != tier and work > 0}
        left = 1.0 - sum(granted[name] for name in others) / WINDOW_SECONDS / rate
        return max(self._shares.proportions.of({tier, *others, *self._lines.busy()})[tier], min(1.0, left))

    def cost_ms(self, tier: str) -> int:
        """The work of a tier that waits."""
        return self._lines.of(tier).ranks.cost_ms


def _held_up(line: TierLine, job: Job) -> bool:
    """A job that waits is expected to wait for others of its own account to end."""
    if line.limit.most is None:
        return False
    flow = line.accounts.open(job.account_id)
    tag = flow.waiting.tag(job)
    assert tag is not None, f"{job.job_id} does not wait"
    own = (tag - flow.used) / max(1, flow.tag - flow.used) * len(flow.waiting)
    return line.limit.reached(job.account_id, round(own))
