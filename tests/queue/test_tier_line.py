"""Inside a tier: accounts that waited too long, and accounts that have as much under way as they may."""

from collections import Counter
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from mezzotint.queue.job import Job
from mezzotint.queue.running import Running
from mezzotint.queue.scheduler import Scheduler
from mezzotint.queue.sideline import Sideline
from mezzotint.queue.tier_line import TierLine
from mezzotint.queue.tiers import Tier
from tests.queue.records import NOW, waiting

PROMISE = 60.0


def line(*, wait_max: float | None = PROMISE) -> TierLine:
    """A line of the free tier."""
    return TierLine(Tier("free", wait_max_seconds=wait_max))


def pick(into: Scheduler) -> Job:
    """A job starts."""
    job = into.pick()
    assert job
    return job


def add(into: TierLine | Sideline | Scheduler, account: str, count: int, cost_ms: int = 1000) -> list[Job]:
    """Add jobs of an account, accepted at NOW."""
    jobs = [waiting(f"{account}-{index}", account_id=account, cost_ms=cost_ms) for index in range(count)]
    for job in jobs:
        into.add(job)
    return jobs


def starve(into: TierLine) -> None:
    """An account with a long history of work that waits behind one with many short jobs."""
    add(into, "heavy", 1)
    add(into, "light", 5000)
    into.release(into.pop(NOW - PROMISE), 1_000_000)
    into.add(waiting("heavy-again", account_id="heavy"))


def starts(into: TierLine, until: float, step: float = 1.0) -> Iterable[tuple[float, Job]]:
    """A start each `step` seconds until none waits."""
    seconds = 0.0
    while into.ready and seconds <= until:
        yield seconds, into.pop(NOW + seconds)
        seconds += step


def test_a_wait_ends_when_the_tier_promises() -> None:
    """Ensures that aging fires: an account far behind in its turn starts once its job has waited so long, and is counted."""
    aging, plain = line(), line(wait_max=None)
    for each in (aging, plain):
        starve(each)
    assert [seconds for seconds, job in starts(aging, 200) if job.account_id == "heavy"] == [PROMISE]
    assert [seconds for seconds, job in starts(plain, 200) if job.account_id == "heavy"] == []
    assert (aging.aged, plain.aged) == (1, 0)


def test_an_account_whose_jobs_start_does_not_age() -> None:
    """Ensures that a whale with an old backlog gets no more by it: its jobs are old, but one was started a moment ago."""
    into = line()
    add(into, "whale", 5000)
    for index in range(9):
        add(into, f"small-{index}", 500)
    work = Counter(job.account_id for _, job in starts(into, 3000))
    assert max(work.values()) - min(work.values()) <= 1
    assert into.aged == 0


def test_those_who_have_aged_do_not_shut_out_the_others() -> None:
    """Ensures that in a tier that cannot keep its promise to many a newcomer still starts with the second start."""
    into = line(wait_max=0.5)
    for index in range(50):
        add(into, f"a{index}", 20)
    for seconds, _ in starts(into, 400):
        if seconds > 60 and seconds % 10 == 0:
            into.add(replace(waiting(account_id=f"new-{seconds}"), created_at=NOW + seconds))
            assert f"new-{seconds}" in {into.pop(NOW + seconds).account_id for _ in range(2)}
    assert into.aged > 100


def test_nobody_waits_beyond_the_bound() -> None:
    """Ensures the bound: the promise, and then two starts for each account that has aged as well."""
    into = line()
    for index in range(100):
        add(into, f"a{index}", 40, cost_ms=1000 * (index % 7 + 1))
    latest: dict[str, float] = {}
    for seconds, job in starts(into, 3000, step=0.5):
        assert seconds - latest.get(job.account_id, 0.0) <= PROMISE + 2 * 100 * 0.5
        latest[job.account_id] = seconds


def test_an_account_has_no_more_under_way_than_it_may() -> None:
    """Ensures that an account at its limit is passed over until one of its jobs ends, and that nothing is ready meanwhile."""
    into = Scheduler([Tier("free", account_running_max=2)])
    add(into, "whale", 10)
    first, _ = pick(into), pick(into)
    assert not into.ready
    assert into.lines.waiting() == {"free": 8}
    add(into, "other", 1)
    assert pick(into).account_id == "other"
    assert not into.ready
    into.release(first)
    assert pick(into).account_id == "whale"
    assert not into.ready


def test_an_accounts_jobs_count_over_all_kinds_and_tiers() -> None:
    """Ensures that the limit of a tier is on all that its account has under way, and that any end makes room everywhere."""
    running, tiers = Running(), [Tier("free", account_running_max=2), Tier("pro", account_running_max=3)]
    pictures, edits = Scheduler(tiers, running), Scheduler(tiers, running)
    add(pictures, "a", 5)
    first = pick(pictures)
    edits.add(waiting("paid-0", account_id="a", tier="pro"))
    pick(edits)
    add(edits, "a", 5)
    assert not pictures.ready
    assert not edits.ready
    edits.add(waiting("paid-1", account_id="a", tier="pro"))
    add(edits, "b", 1)
    assert {pick(edits).job_id for _ in range(2)} == {"paid-1", "b-0"}
    pictures.release(first)
    assert not pictures.ready
    assert not edits.ready
    edits.release(waiting("paid-0", account_id="a", tier="pro"))
    assert pictures.ready
    assert edits.ready
    assert pick(edits).account_id == "a"
    assert not pictures.ready


def test_the_limit_counts_what_ran_before_a_restart() -> None:
    """Ensures that jobs that workers still hold after a restart count, whichever way round they are loaded."""
    for order in (0, 1):
        into = Scheduler([Tier("free", account_running_max=1)])
        if order:
            into.hold(waiting("old", account_id="a"))
            add(into, "a", 1)
        else:
            add(into, "a", 1)
            into.hold(waiting("old", account_id="a"))
        assert not into.ready
        into.release(waiting("old", account_id="a"))
        assert into.ready


def test_a_limit_can_be_changed_while_jobs_wait() -> None:
    """Ensures that a new policy frees accounts that were held up, and holds up others."""
    into = Scheduler([Tier("free", account_running_max=1)])
    add(into, "a", 5)
    first = pick(into)
    assert not into.ready
    into.replace([Tier("free", account_running_max=2)])
    assert into.ready
    second = pick(into)
    assert not into.ready
    into.replace([Tier("free")])
    assert into.ready
    into.replace([Tier("free", account_running_max=1)])
    assert not into.ready
    into.release(first)
    assert not into.ready
    into.release(second)
    assert into.ready


def test_a_newcomer_with_its_jobs_elsewhere_is_held_up_too() -> None:
    """Ensures that an account without work in a tier gets no boost past its limit, nor past a new one."""
    running = Running()
    pictures, edits = (Scheduler([Tier("free", account_running_max=1)], running) for _ in range(2))
    add(pictures, "a", 1)
    job = pick(pictures)
    add(edits, "a", 1)
    assert not edits.ready
    pictures.release(job)
    assert edits.ready
    add(pictures, "a", 2)
    pick(pictures)
    edits.replace([Tier("free")])
    pictures.replace([Tier("free")])
    add(pictures, "b", 1)
    edits.replace([Tier("free", account_running_max=1)])
    assert not edits.ready
    assert pictures.ready


def test_a_new_promise_holds_for_jobs_that_wait_already() -> None:
    """Ensures that aging begins with the policy that asks for it."""
    into = line(wait_max=None)
    starve(into)
    into.pop(NOW)
    assert into.pop(NOW + 100).account_id == "light"
    into.replace(Tier("free", wait_max_seconds=PROMISE))
    assert into.pop(NOW + 101).account_id == "heavy"


def test_what_waits_for_its_own_account_is_told_no_time() -> None:
    """Ensures that a job behind more of its account's jobs than may run together is known to be held up; others are not."""
    scheduler = Scheduler([Tier("free", account_running_max=2)])
    jobs = [waiting(f"j{index}") for index in range(4)]
    for job in jobs:
        scheduler.add(job)
    assert [ahead.held_up for job in jobs if (ahead := scheduler.outlook.ahead(job))] == [False, False, True, True]
    scheduler.pick()
    assert [ahead.held_up for job in jobs if (ahead := scheduler.outlook.ahead(job))] == [False, True, True]


def test_a_tier_whose_accounts_are_all_at_their_limit_lends_its_share() -> None:
    """Ensures that workers do not wait for a tier that may start nothing."""
    scheduler = Scheduler([Tier("free", 1), Tier("pro", 1, account_running_max=1)])
    for tier in ("free", "pro"):
        for index in range(10):
            scheduler.add(waiting(f"{tier}{index}", tier=tier))
    assert Counter(job.tier for _ in range(6) if (job := scheduler.pick())) == {"free": 5, "pro": 1}


def test_deferred_jobs_are_admitted_at_their_rate() -> None:
    """Ensures that over an hour the work admitted is the rate given, a job's work aside, and pauses are not made up for."""
    sideline = Sideline(Tier("free"))
    add(sideline, "a", 1000)
    admitted = [job for tick in range(3600 * 4) for job in sideline.admit(tick / 4, rate=100.0)]
    assert len(admitted) == pytest.approx(360, abs=2)
    assert len(sideline.admit(4000 + 3600, rate=100.0)) <= 2


def test_deferred_jobs_are_admitted_fairly_and_the_old_ones_first() -> None:
    """Ensures that a whale's deferred jobs do not keep the others', and that aging fires for deferred jobs too."""
    sideline = Sideline(Tier("free", wait_max_seconds=PROMISE, account_running_max=1))
    add(sideline, "whale", 100)
    for index in range(9):
        add(sideline, f"small-{index}", 1)
    admitted = [job for tick in range(20) for job in sideline.admit(NOW + tick, rate=1000.0)]
    assert len({job.account_id for job in admitted[:11]}) == 10
    before = sideline.aged
    sideline.add(waiting("late", account_id="late"))
    for index in range(20):
        sideline.add(waiting(f"new-{index}", account_id=f"new-{index}"))
    sideline.admit(NOW + PROMISE, rate=1000.0)
    assert sideline.aged > before


def test_what_could_not_begin_is_admitted_last() -> None:
    """Ensures that a whale at its limit takes nothing of the pace from others, and comes back."""
    running = Running()
    sideline = Sideline(Tier("free", account_running_max=1), running)
    whale, small = add(sideline, "whale", 50), add(sideline, "small", 10)
    running.add("whale")
    admitted = [job for tick in range(15) for job in sideline.admit(tick, rate=1000.0)]
    assert admitted[:10] == small
    assert admitted[10:] == whale[: len(admitted) - 10] != []
    add(sideline, "small-2", 5)
    running.remove("whale")
    accounts = [job.account_id for tick in range(15, 19) for job in sideline.admit(tick, rate=1000.0)]
    assert set(accounts) == {"whale", "small-2"}
