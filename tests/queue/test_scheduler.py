"""Fairness: between tiers, between accounts, and that no job is lost or given twice."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzotint.queue.job import Job
from mezzotint.queue.proportions import fill as fill_shares
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.shares import TierShares
from mezzotint.queue.tiers import Tier
from tests.queue.records import waiting

TIERS = (Tier("free", 1, 0.05), Tier("plus", 4, 0.1), Tier("pro", 8, 0.1), Tier("enterprise", 16, 0.1))


def fill(scheduler: Scheduler, tier: str, account: str, count: int, cost_ms: int = 1000) -> None:
    """Add jobs of an account."""
    for index in range(count):
        scheduler.add(waiting(f"{tier}-{account}-{index}", tier=tier, account_id=account, cost_ms=cost_ms))


def granted(jobs: Iterable[Job | None], key: str) -> Counter[str]:
    """Work by tier or account."""
    work: Counter[str] = Counter()
    for job in jobs:
        assert job
        work[getattr(job, key)] += job.cost_ms
    return work


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness: 1 when all shares are equal, 1/n when one has everything."""
    values = list(shares)
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def test_tiers_get_their_weights_and_no_less_than_their_minimum() -> None:
    """Ensures that under full load each tier gets its share of the work, the minimum set aside first, within half a percent."""
    scheduler = Scheduler(TIERS)
    for tier in TIERS:
        fill(scheduler, tier.name, "a", 3000)
    work = granted((scheduler.pick() for _ in range(3000)), "tier")
    rest = 1 - 0.05
    expected = {"free": 0.05, "plus": rest * 4 / 28, "pro": rest * 8 / 28, "enterprise": rest * 16 / 28}
    for name, share in expected.items():
        assert work[name] / sum(work.values()) == pytest.approx(share, abs=0.005)


def test_what_is_picked_of_some_tiers_is_owed_to_the_others() -> None:
    """Ensures that urgent jobs come only of the tiers that are named, and that the others get their share of the next picks."""
    scheduler = Scheduler(TIERS)
    for tier in ("free", "pro"):
        fill(scheduler, tier, "a", 300)
    assert scheduler.pick(tiers={"plus", "enterprise"}) is None
    urgent = granted((scheduler.pick(tiers={"plus", "pro"}) for _ in range(60)), "tier")
    assert urgent == {"pro": 60_000}
    assert granted((scheduler.pick() for _ in range(6)), "tier") == {"free": 6_000}
    work = urgent + granted((scheduler.pick() for _ in range(234)), "tier")
    assert work["pro"] / sum(work.values()) == pytest.approx(8 / 9, abs=0.04)


def test_what_a_tier_does_not_use_is_lent() -> None:
    """Ensures that no capacity is kept for tiers without work, and that a tier that comes back gets its share from then on."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "free", "a", 2000)
    assert granted((scheduler.pick() for _ in range(1000)), "tier") == {"free": 1_000_000}
    fill(scheduler, "enterprise", "a", 2000)
    work = granted((scheduler.pick() for _ in range(500)), "tier")
    assert work["free"] / sum(work.values()) == pytest.approx(1 / 17, abs=0.01)


def test_a_tier_gets_no_more_than_its_maximum_while_others_want_it() -> None:
    """Ensures that the maximum holds whatever the weight, and that what nobody else wants is not refused."""
    scheduler = Scheduler((Tier("free", 1), Tier("batch", 100, share_max=0.2)))
    fill(scheduler, "free", "a", 800)
    fill(scheduler, "batch", "b", 800)
    work = granted((scheduler.pick() for _ in range(1000)), "tier")
    assert work["batch"] / sum(work.values()) == pytest.approx(0.2, abs=0.005)
    assert granted((scheduler.pick() for _ in range(600)), "tier") == {"batch": 600_000}


@given(st.lists(st.tuples(st.floats(0.001, 1000), st.floats(0, 0.25), st.floats(0.25, 1)), min_size=1, max_size=4))
def test_shares_are_by_weight_within_their_bounds(bounds: list[tuple[float, float, float]]) -> None:
    """Ensures that shares add up to 1, keep to their bounds where that is possible, and are else in the ratio of weights."""
    tiers = [Tier(f"t{index}", weight, low, high) for index, (weight, low, high) in enumerate(bounds)]
    shares = fill_shares(tiers)
    assert sum(shares.values()) == pytest.approx(1)
    if sum(tier.share_max for tier in tiers) < 1:
        return
    assert all(tier.share_min - 1e-9 <= shares[tier.name] <= tier.share_max + 1e-9 for tier in tiers)
    free = [
        shares[tier.name] / tier.weight for tier in tiers if tier.share_min + 1e-9 < shares[tier.name] < tier.share_max - 1e-9
    ]
    assert not free or max(free) == pytest.approx(min(free))


def test_a_tier_below_its_floor_is_served_first() -> None:
    """Ensures that a tier that comes back with work it has a floor for starts next, though others are owed more."""
    scheduler = Scheduler(TIERS)
    for name in ("pro", "enterprise"):
        fill(scheduler, name, "a", 500)
    for second in range(100):
        scheduler.pick(second)
    fill(scheduler, "free", "a", 1)
    job = scheduler.pick(100)
    assert job
    assert job.tier == "free"


def test_a_debt_does_not_outweigh_the_floor_for_ever() -> None:
    """Ensures that a tier whose one job was as long as a day is served again within minutes, not after a day."""
    scheduler = Scheduler((Tier("free", 1, 0.05), Tier("pro", 1)))
    fill(scheduler, "pro", "b", 1000)
    fill(scheduler, "free", "a", 1, cost_ms=86_400_000)
    while scheduler.lines.waiting()["free"]:
        scheduler.pick(0)
    fill(scheduler, "free", "a", 1)
    first = next(second for second in range(1000) if (job := scheduler.pick(second)) and job.tier == "free")
    assert 60 < first < 1000


def test_a_paused_tier_is_passed_over_and_lends_its_share() -> None:
    """Ensures that a pause holds for every pick until it is over, and that the tier claims nothing for it afterwards."""
    scheduler = Scheduler(TIERS)
    for tier in TIERS:
        fill(scheduler, tier.name, "a", 400)
    scheduler.pause(frozenset({"enterprise"}))
    assert "enterprise" not in granted((scheduler.pick() for _ in range(300)), "tier")
    scheduler.pause(frozenset())
    work = granted((scheduler.pick() for _ in range(300)), "tier")
    assert work["enterprise"] / sum(work.values()) == pytest.approx(0.95 * 16 / 28, abs=0.02)


def test_a_tier_that_understates_its_work_gains_nothing_by_it() -> None:
    """Ensures that the real cost is charged to the tier as well: half of the work each, whatever they say it costs."""
    scheduler = Scheduler((Tier("liars", 1), Tier("honest", 1)))
    fill(scheduler, "liars", "a", 5000, cost_ms=100)
    fill(scheduler, "honest", "b", 5000, cost_ms=1000)
    work: Counter[str] = Counter()
    for _ in range(4000):
        job = scheduler.pick()
        assert job
        scheduler.release(job, 1000)
        work[job.tier] += 1000
    assert work["liars"] / work["honest"] == pytest.approx(1, abs=0.02)


def test_another_policy_holds_from_the_next_pick_on() -> None:
    """Ensures that replacing the policy keeps every job and changes the shares, for tiers dropped and added too."""
    scheduler = Scheduler(TIERS)
    for tier in TIERS:
        fill(scheduler, tier.name, "a", 1000)
    for _ in range(100):
        scheduler.pick()
    scheduler.replace((Tier("free", 8), Tier("plus", 1), Tier("new", 1)))
    fill(scheduler, "new", "a", 1000)
    work = granted((scheduler.pick() for _ in range(1200)), "tier")
    for name, weight in {"free": 8, "plus": 1, "new": 1, "pro": 1, "enterprise": 1}.items():
        assert work[name] / sum(work.values()) == pytest.approx(weight / 12, abs=0.01)


def test_a_tier_that_sends_one_job_at_a_time_gains_nothing_by_it() -> None:
    """Ensures that coming and going is no way to a greater share."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "enterprise", "a", 3000)
    work: Counter[str] = Counter()
    for index in range(2000):
        if not scheduler.lines.waiting()["free"]:
            scheduler.add(waiting(f"one-{index}", tier="free"))
        job = scheduler.pick()
        assert job
        work[job.tier] += job.cost_ms
    assert work["free"] / sum(work.values()) == pytest.approx(1 / 17, abs=0.01)


def test_a_debt_is_paid_off_while_others_work() -> None:
    """Ensures that a tier that had one long job is not kept waiting for it long after others had their share."""
    scheduler = Scheduler((Tier("free", 1), Tier("enterprise", 1)))
    fill(scheduler, "free", "a", 1, cost_ms=50_000)
    fill(scheduler, "enterprise", "b", 300)
    while scheduler.lines.waiting()["free"]:
        scheduler.pick()
    for _ in range(100):
        scheduler.pick()
    fill(scheduler, "free", "a", 1)
    assert "free" in granted((scheduler.pick() for _ in range(3)), "tier")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.sampled_from([tier.name for tier in TIERS]), min_size=1), st.integers(1, 5000)), max_size=200)
)
def test_debts_stay_small_whoever_comes_and_goes(rounds: list[tuple[set[str], int]]) -> None:
    """Ensures that no tier gathers a claim or debt of more than a few jobs, and that all of them add up to nothing."""
    shares = TierShares(TIERS)
    for present, cost_ms in rounds:
        chosen = shares.choose(present)
        shares.charge(chosen, cost_ms, present)
        assert sum(shares.deficits.owed.values()) == pytest.approx(0, abs=1e-3)
        assert max(map(abs, shares.deficits.owed.values())) <= 5000 * len(TIERS)


def test_a_whale_takes_no_more_than_ninety_nine_small_accounts() -> None:
    """Ensures that accounts of a tier get equal work, whatever one of them sends: Jain's index is 0.99 at least."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "free", "whale", 10_000)
    for index in range(99):
        fill(scheduler, "free", f"small-{index}", 30)
    work = granted((scheduler.pick() for _ in range(2000)), "account_id")
    assert jain(work.values()) >= 0.99
    assert len(work) == 100


def test_fairness_counts_work_not_jobs() -> None:
    """Ensures that an account with jobs ten times as long gets a tenth as many of them."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "free", "long", 500, cost_ms=10_000)
    fill(scheduler, "free", "short", 5000, cost_ms=1000)
    work = granted((scheduler.pick() for _ in range(1100)), "account_id")
    assert work["long"] / work["short"] == pytest.approx(1, abs=0.02)


def test_the_real_cost_corrects_the_expected_one() -> None:
    """Ensures that an account that understates its cost tenfold gets no more work than the other."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "free", "liar", 5000, cost_ms=100)
    fill(scheduler, "free", "honest", 5000, cost_ms=1000)
    work: Counter[str] = Counter()
    for _ in range(2000):
        job = scheduler.pick()
        assert job
        scheduler.release(job, 1000)
        work[job.account_id] += 1000
    assert work["liar"] / work["honest"] == pytest.approx(1, abs=0.02)


def test_an_account_that_comes_back_starts_next() -> None:
    """Ensures that somebody with one picture does not wait behind those with thousands."""
    scheduler = Scheduler(TIERS)
    for index in range(50):
        fill(scheduler, "free", f"busy-{index}", 100)
    for _ in range(500):
        scheduler.pick()
    fill(scheduler, "free", "newcomer", 1)
    job = scheduler.pick()
    assert job
    assert job.account_id == "newcomer"


def test_newcomers_cannot_keep_the_others_out() -> None:
    """Ensures that an endless row of new accounts leaves the waiting ones one turn in nine."""
    scheduler = Scheduler(TIERS)
    for index in range(2):
        fill(scheduler, "free", f"old-{index}", 200)
    for _ in range(4):
        scheduler.pick()
    turns: Counter[bool] = Counter()
    for index in range(900):
        fill(scheduler, "free", f"new-{index}", 1)
        job = scheduler.pick()
        assert job
        turns[job.account_id.startswith("old")] += 1
    assert turns[True] == pytest.approx(100, abs=3)


def test_ties_go_to_the_account_with_less_under_way() -> None:
    """Ensures that of two accounts with the same work had, the one that uses less now is first."""
    scheduler = Scheduler(TIERS)
    fill(scheduler, "free", "a", 3)
    fill(scheduler, "free", "b", 3)
    first, second = scheduler.pick(), scheduler.pick()
    assert first
    assert second
    scheduler.release(second, 1000)
    third = scheduler.pick()
    assert third
    assert third.account_id == second.account_id


def test_positions_are_the_order_of_starts() -> None:
    """Ensures that jobs start at the places told, give or take one round of the accounts, when their work is the same."""
    scheduler = Scheduler(TIERS[:1])
    random.seed(7)
    jobs = [waiting(f"j{index}", account_id=f"a{random.randrange(20)}") for index in range(300)]
    for job in jobs:
        scheduler.add(job)
    told = {job.job_id: scheduler.outlook.ahead(job) for job in jobs}
    for place in range(300):
        picked = scheduler.pick()
        assert picked
        ahead = told[picked.job_id]
        assert ahead
        assert abs(ahead.jobs - place) <= 24


def test_positions_count_the_other_tiers_by_their_shares() -> None:
    """Ensures that a free job behind ten others is told of the enterprise jobs that start meanwhile."""
    scheduler = Scheduler((Tier("free", 1), Tier("enterprise", 4)))
    fill(scheduler, "free", "a", 11)
    fill(scheduler, "enterprise", "b", 1000)
    ahead = scheduler.outlook.ahead(waiting("free-a-10", account_id="a"))
    assert ahead
    assert ahead.jobs == 50
    assert ahead.cost_ms == 50_000


class SchedulerMachine(RuleBasedStateMachine):
    """Adds, discards, picks and releases at random, and counts along."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(TIERS)
        self.ready: dict[str, Job] = {}
        self.under_way: list[Job] = []
        self.number = 0

    @rule(tier=st.sampled_from(["free", "pro", "gone"]), account=st.integers(0, 4), cost_ms=st.integers(1, 3000))
    def add(self, tier: str, account: int, cost_ms: int) -> None:
        self.number += 1
        job = waiting(f"j{self.number}", tier=tier, account_id=f"{tier}{account}", cost_ms=cost_ms)
        self.scheduler.add(job)
        self.ready[job.job_id] = job

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        job = self.ready.pop(data.draw(st.sampled_from(sorted(self.ready))))
        assert self.scheduler.discard(job)
        assert not self.scheduler.discard(job)

    @rule()
    def pick(self) -> None:
        job = self.scheduler.pick()
        assert (job is None) == (not self.ready)
        if job:
            assert self.ready.pop(job.job_id) == job
            self.under_way.append(job)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), cost_ms=st.one_of(st.none(), st.integers(0, 9000)), again=st.booleans())
    def release(self, data: st.DataObject, cost_ms: int | None, again: bool) -> None:
        job = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.scheduler.release(job, cost_ms)
        if again:
            self.scheduler.add(job, front=True)
            self.ready[job.job_id] = job

    @invariant()
    def nothing_is_lost(self) -> None:
        counts = Counter(job.tier for job in self.ready.values())
        assert {tier: count for tier, count in self.scheduler.lines.waiting().items() if count} == counts
        assert all(self.scheduler.outlook.ahead(job) is not None for job in self.ready.values())


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
