"""The small pure parts: ranks, deadlines, leases, backoff, page tokens."""

import bisect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.queue.backoff import Backoff
from mezzotint.queue.deadlines import Deadlines
from mezzotint.queue.engine import JobQuery
from mezzotint.queue.job import JobState
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.paging import page_start, page_token
from mezzotint.queue.ranks import GRAIN_BITS, Ranks
from mezzotint.runtime.errors import PageTokenInvalid

A, B = LeaseRef("job_a", 1), LeaseRef("job_b", 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 1000)), max_size=60), st.integers(0, 2**40), st.data())
def test_ranks_count_what_stands_before(jobs: list[tuple[int, int]], tag: int, data: st.DataObject) -> None:
    """Ensures that the tree counts as a sorted list does, to its grain, also after removals."""
    ranks = Ranks()
    for job in jobs:
        ranks.add(*job)
    gone = data.draw(st.integers(0, len(jobs)))
    for job in jobs[:gone]:
        ranks.remove(*job)
    left = sorted((job_tag >> GRAIN_BITS, cost) for job_tag, cost in jobs[gone:])
    before = bisect.bisect_left(left, (tag >> GRAIN_BITS, 0))
    assert ranks.before(tag) == (before, sum(cost for _, cost in left[:before]))
    assert (ranks.count, ranks.cost_ms) == (len(left), sum(cost for _, cost in left))


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.floats(0, 110))
def test_deadlines_are_given_once_and_never_early(keys: list[tuple[float, bool]], now: float) -> None:
    """Ensures that what is due is given once, up to one grain late, and what was discarded is not."""
    deadlines = Deadlines(1.0)
    for index, (at, _) in enumerate(keys):
        deadlines.add(at, str(index))
    for index, (at, dropped) in enumerate(keys):
        if dropped:
            deadlines.discard(at, str(index))
    due = {int(key) for key in deadlines.due(now)}
    kept = {index: at for index, (at, dropped) in enumerate(keys) if not dropped}
    assert due <= {index for index, at in kept.items() if at <= now}
    assert due >= {index for index, at in kept.items() if at <= now - 1}
    assert not deadlines.due(now)


def table() -> LeaseTable:
    """w1 holds two leases of 10 s since 0; the grace is 4 s."""
    leases = LeaseTable(duration=10, grace=4)
    leases.grant(A, "w1", 0)
    leases.grant(B, "w1", 0)
    return leases


def test_heartbeats_keep_leases_alive() -> None:
    """Ensures that a lease lives as long as heartbeats name it, and then its duration."""
    leases = table()
    assert leases.beat("w1", [A], 9) == ([], [])
    assert [lease.ref for lease in leases.expired(10)] == [B]
    assert not leases.expired(18.9)
    assert [lease.ref for lease in leases.expired(19)] == [A]
    assert not leases.holds(A, "w1")


def test_a_lease_that_is_named_no_more_is_lost() -> None:
    """Ensures that one the worker has named before is lost at once; one that may be on its way is not."""
    leases = table()
    leases.beat("w1", [A], 1)
    assert leases.beat("w1", [], 2) == ([A], [])


def test_a_heartbeat_with_foreign_leases_names_them() -> None:
    """Ensures that old tokens, unknown jobs and other workers' leases are told apart from one's own."""
    stale, unknown = LeaseRef("job_a", 0), LeaseRef("job_x", 1)
    assert table().beat("w1", [A, stale, unknown], 1) == ([], [stale, unknown])
    assert table().beat("w2", [A], 1) == ([], [A])


def test_a_worker_that_comes_back_in_time_keeps_what_it_names() -> None:
    """Ensures that the grace begins when the stream breaks, ends in time, and that leases not named are lost."""
    leases = table()
    leases.detach("w1", 1)
    assert not leases.expired(4.9)
    assert leases.adopt("w1", [A], 4.9) == ([A], [B])
    leases.release(B)
    assert not leases.expired(14.8)
    leases.detach("w1", 14)
    assert [lease.ref for lease in leases.expired(18)] == [A]


def test_releasing_twice_is_told() -> None:
    """Ensures that only one of two ends of a lease takes it off the table."""
    leases = table()
    assert leases.release(A)
    assert not leases.release(A)
    assert leases.held("w1") == 1


def test_backoff_doubles_up_to_its_limit_and_jitters_downwards() -> None:
    """Ensures the pauses between attempts."""
    assert [Backoff(1, 60, lambda: 0.0).delay(attempt) for attempt in (1, 2, 3, 9)] == [1, 2, 4, 60]
    assert Backoff(1, 60, lambda: 1.0).delay(2) == 1


@given(st.text(max_size=40))
def test_page_tokens_nobody_made_are_refused(token: str) -> None:
    """Ensures that garbage and tokens of another query are told apart from one's own."""
    mine = JobQuery("acct_1", frozenset({JobState.QUEUED}), 0, 10)
    other = JobQuery("acct_2", frozenset({JobState.QUEUED}), 0, 10)
    assert page_start(mine, page_token(mine, 77)) == 77
    assert page_start(mine, "") == 0
    for wrong in (token or "x", page_token(other, 77)):
        with pytest.raises(PageTokenInvalid):
            page_start(mine, wrong)
