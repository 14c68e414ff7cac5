"""The jobs of one tier that wait, in an order fair to its accounts: stride scheduling charged with the cost of the work."""

from collections.abc import Callable

from mezzotint.queue.accounts import Accounts
from mezzotint.queue.aging import Aging, recorded_since
from mezzotint.queue.flows import FRESH, FULL, NONE, Flow, Turns
from mezzotint.queue.job import Job
from mezzotint.queue.ranks import Ranks
from mezzotint.queue.running import Limit, Running
from mezzotint.queue.tiers import Tier


class TierLine:
    """A pick costs O(log accounts). The account with the least work had is next; ties go to the one with fewer jobs under way.

    An account that comes back after a time without work starts level with the others, and before them all with its first job.
    One that has waited for longer than the tier promises goes before those. One with as many jobs under way, of whatever kind
    and tier, as the tier allows an account is passed over until one of them ends. `since` tells when a job began to wait.
    """

    def __init__(self, tier: Tier, running: Running | None = None, since: Callable[[Job], float] = recorded_since) -> None:
        self.limit = Limit(running or Running(), tier.account_running_max, self._look)
        """To be read."""
        self._since = since
        self._aging = Aging(tier.wait_max_seconds, since)
        self.accounts = Accounts()
        self._turns = Turns()
        self.ranks = Ranks()
        self.aged = 0
        """Times that an account was moved up because it had waited for too long."""

    def __len__(self) -> int:
        return self.ranks.count

    @property
    def ready(self) -> bool:
        """A job could be started now."""
        return self._turns.count > 0

    def add(self, job: Job, *, front: bool = False) -> None:
        """A job waits: behind the account's others, or, when it waited already, before those accepted later."""
        accounts, cost_ms = self.accounts, job.cost_ms
        flow = accounts.open(job.account_id)
        first = flow.lane is NONE
        back = first and flow.used <= accounts.now and not flow.in_flight
        if first:
            flow.used = flow.tag = max(flow.used, accounts.now)
        tag = flow.used if front or flow.tag < flow.used else flow.tag
        if flow.tag < tag + cost_ms:
            flow.tag = tag + cost_ms
        flow.waiting.add(job, tag, front=front)
        self.ranks.add(tag, cost_ms)
        if back and not self.limit.reached(job.account_id):
            self._turns.welcome(flow)
            self._aging.watch(flow)
        elif first:
            self._seat(flow)

    def discard(self, job: Job) -> bool:
        """A job waits no more; False when it did not."""
        flow = self.accounts.find(job.account_id)
        tag = flow.waiting.remove(job) if flow else None
        if flow is None or tag is None:
            return False
        self.ranks.remove(tag, job.cost_ms)
        if not flow.waiting:
            self._turns.drop(flow)
            self.accounts.rest(flow, empty=not self.ranks.count)
        return True

    def pop(self, now: float = 0.0) -> Job:
        """The next job, started at `now` (of `since`'s clock), under way and charged to its account; there must be one.

        When none could be started, it is the next of an account with as many under way as it may have.
        """
        for late in self._aging.due(now):
            self._turns.promote(late)
            self.aged += 1
        flow = self._turns.next()
        job, tag = flow.waiting.take()
        self.ranks.remove(tag, job.cost_ms)
        self.accounts.serve(flow)
        self.accounts.charge(flow, job.cost_ms)
        flow.started_at = now
        if flow.waiting:
            self._seat(flow)
        self.accounts.settle(empty=not self.ranks.count)
        return job

    def hold(self, job: Job) -> None:
        """A job is under way that was not popped here, after a restart."""
        flow = self.accounts.open(job.account_id)
        self.accounts.charge(flow, job.cost_ms)
        if flow.waiting:
            self._seat(flow)

    def release(self, job: Job, cost_ms: int) -> None:
        """A job is no longer under way; what it was charged is corrected to what it cost, 0 if it was not begun."""
        flow = self.accounts.find(job.account_id)
        assert flow, f"{job.job_id} was not under way"
        self.accounts.finish(flow, cost_ms - job.cost_ms)
        if not flow.waiting:
            self.accounts.rest(flow, empty=not self.ranks.count)
        elif flow.lane is not FRESH:
            self._seat(flow)

    def replace(self, tier: Tier) -> None:
        """The tier promises something else from now on."""
        self.limit.change(tier.account_running_max)
        self._aging = Aging(tier.wait_max_seconds, self._since)
        for flow in self.accounts:
            flow.watched = False
            if flow.waiting and (flow.lane is not FRESH or self.limit.reached(flow.account_id)):
                self._seat(flow)
            elif flow.waiting:
                self._aging.watch(flow)

    def before(self, job: Job) -> tuple[int, int] | None:
        """The jobs of the tier expected to start before this one and their work in ms; None when it does not wait."""
        flow = self.accounts.find(job.account_id)
        tag = flow.waiting.tag(job) if flow else None
        return None if tag is None else self.ranks.before(tag)

    def _look(self, account_id: str, at: float) -> None:
        """An account has come to as many jobs under way as it may have, or is no longer there from `at` on."""
        flow = self.accounts.find(account_id)
        if flow is None or not flow.waiting:
            return
        if flow.lane is FULL:
            flow.free_at = max(flow.free_at, at)
            self._seat(flow)
        elif self.limit.reached(account_id):
            self._seat(flow)

    def _seat(self, flow: Flow) -> None:
        """An account with work gets its place among the others, unless it has as much under way as it may."""
        if self.limit.reached(flow.account_id):
            self._turns.stop(flow)
        else:
            self._turns.place(flow)
            self._aging.watch(flow)
