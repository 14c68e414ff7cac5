"""The ledger's promises one by one: what is held, what is forgotten, and where it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit import ledger as ledger_module
from mezzotint.ratelimit.calendar_quota import CalendarQuota
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.ledger import Caps, Ledger
from mezzotint.ratelimit.limit import NANOSECONDS, Moment, Subject
from mezzotint.ratelimit.policy import Policy
from mezzotint.runtime.errors import ServerOverloaded
from tests.support.clock import ManualClock, counting_ids

BURST = Gcra("burst", "requests", 1, 1, 5)
DAY = CalendarQuota("day", "images", 100, "day")
TIER = CalendarQuota("tier", "images", 150, "day", shared=True)
POLICY = Policy({"free": (BURST, DAY, TIER)})
ANNA, BERT = Subject("anna", "free"), Subject("bert", "free")
START = Moment(NANOSECONDS, int(ManualClock().now()) * NANOSECONDS)


def after(seconds: float) -> Moment:
    """A moment so much later than START."""
    return Moment(*(each + int(seconds * NANOSECONDS) for each in START))


def make(**caps: int) -> Ledger:
    """An empty ledger."""
    return Ledger(POLICY, counting_ids(), Caps(**caps))


def left(ledger: Ledger, subject: Subject = ANNA, at: Moment = START) -> list[int]:
    """What remains of each limit."""
    return [status.remaining for status in ledger.peek(subject, at)]


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 100), st.integers(1, 5))
def test_a_denied_request_changes_nothing(images: int, requests: int, used: int, bursts: int) -> None:
    """Ensures that where any limit is in the way, every state stays exactly as it was."""
    ledger = make()
    ledger.check("first", ANNA, {"images": used, "requests": bursts}, START)
    before, held = ledger.peek(ANNA, START), ledger.sizes()
    decision = ledger.check("second", ANNA, {"images": images, "requests": requests}, START)
    if not decision.allowed:
        assert ledger.peek(ANNA, START) == before
        assert ledger.sizes() == held


@given(st.integers(1, 5), st.integers(1, 100), st.floats(0, 599))
def test_reserve_and_release_is_the_identity(requests: int, images: int, seconds: float) -> None:
    """Ensures that a reservation that is given back leaves everything as if it had not been."""
    ledger, untouched = make(), make()
    reserved = ledger.reserve("r", ANNA, {"requests": requests, "images": images}, 600 * NANOSECONDS, START)
    assert ledger.release(reserved.reservation_id, after(seconds))
    assert ledger.peek(ANNA, after(seconds)) == untouched.peek(ANNA, after(seconds))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5), st.integers(1, 40)), max_size=20))
def test_nothing_leaks_when_nobody_settles(reservations: list[tuple[int, int, int]]) -> None:
    """Ensures that with every hold over, every limit is whole again, although no window has ended."""
    ledger = make()
    for number, (second, images, hold) in enumerate(sorted(reservations)):
        ledger.reserve(f"r{number}", ANNA, {"images": images, "requests": 1}, hold * NANOSECONDS, after(second))
    assert left(ledger, at=after(100)) == [5, 100, 150]
    assert ledger.sizes()["reservations"] == 0


@given(st.integers(1, 100), st.integers(0, 150))
def test_a_commit_charges_exactly_the_real_amount(reserved: int, real: int) -> None:
    """Ensures that after a commit it is as if the real amount had been charged at once, be it more or less."""
    ledger = make()
    held = ledger.reserve("r", ANNA, {"images": reserved}, 600 * NANOSECONDS, START)
    ledger.commit(held.reservation_id, ANNA, {"images": real} if real else {}, START)
    assert left(ledger)[1:] == [max(0, 100 - real), 150 - real]
    assert not ledger.release(held.reservation_id, START)
    assert left(ledger)[1:] == [max(0, 100 - real), 150 - real]


def test_a_commit_beyond_the_limit_is_a_debt() -> None:
    """Ensures that what was used above the limit holds back what comes, as long as the limit's rate says."""
    ledger = make()
    held = ledger.reserve("r", ANNA, {"requests": 5}, 600 * NANOSECONDS, START)
    ledger.commit(held.reservation_id, ANNA, {"requests": 8}, START)
    decision = ledger.check("c", ANNA, {"requests": 1}, START)
    assert decision.statuses[0].remaining == 0
    assert decision.retry_after_ns == 4 * NANOSECONDS


def test_a_shared_limit_is_over_all_of_the_tier() -> None:
    """Ensures that accounts of one tier share what the file says they share, and nothing else."""
    ledger = make()
    ledger.check("a", ANNA, {"images": 100}, START)
    assert left(ledger, BERT) == [5, 100, 50]
    assert not ledger.check("b", BERT, {"images": 51}, START).allowed


def test_whole_buckets_cost_no_memory_and_others_stay() -> None:
    """Ensures that idle accounts are forgotten while one in force is not, however many there are."""
    ledger = make()
    ledger.check("anna", ANNA, {"images": 100}, START)
    for number in range(1000):
        ledger.check(f"r{number}", Subject(f"acc_{number}", "free"), {"requests": 1}, START)
    assert ledger.sizes()["buckets"] == 1002
    for _ in range(1000):
        ledger.advance(after(3600))
    assert ledger.sizes() == {"buckets": 2, "reservations": 0, "answers": 0}
    assert left(ledger, at=after(3600)) == [5, 0, 50]


def test_peeking_and_denials_keep_nothing() -> None:
    """Ensures that nobody fills the memory by asking, nor by being refused."""
    ledger = make()
    for number in range(100):
        ledger.peek(Subject(f"acc_{number}", "free"), START)
        assert not ledger.check(f"r{number}", Subject(f"acc_{number}", "free"), {"images": 101}, START).allowed
        assert not ledger.reserve(f"r{number}", Subject(f"acc_{number}", "free"), {"images": 101}, 1, START).decision.allowed
    assert ledger.sizes() == {"buckets": 0, "reservations": 0, "answers": 0}


def test_full_of_reservations_it_says_so_and_charges_nothing() -> None:
    """Ensures the cap of open reservations, and that settling one makes room."""
    ledger = make(reservations_max=2)
    ids = [ledger.reserve(f"r{number}", ANNA, {"images": 1}, 60 * NANOSECONDS, START).reservation_id for number in range(2)]
    with pytest.raises(ServerOverloaded, match="the most is 2") as caught:
        ledger.reserve("r", ANNA, {"images": 1}, 60 * NANOSECONDS, START)
    assert caught.value.retry_after
    assert left(ledger)[1] == 98
    ledger.release(ids[0], START)
    assert ledger.reserve("r", ANNA, {"images": 1}, 60 * NANOSECONDS, START).decision.allowed


def test_full_of_answers_it_says_so_and_charges_nothing() -> None:
    """Ensures the cap of remembered requests; commits of open reservations pass nevertheless."""
    ledger = make(answers_max=2)
    held = [ledger.reserve(f"r{number}", ANNA, {"images": 1}, 900 * NANOSECONDS, START).reservation_id for number in range(2)]
    for attempt in (
        lambda: ledger.reserve("r", ANNA, {"images": 1}, 60 * NANOSECONDS, START),
        lambda: [ledger.check(f"c{number}", ANNA, {"images": 1}, START) for number in range(3)],
        lambda: [ledger.commit(f"rsv_{number}", ANNA, {"images": 1}, START) for number in range(3)],
    ):
        with pytest.raises(ServerOverloaded) as caught:
            attempt()
        assert caught.value.retry_after == 600
    assert left(ledger)[1] == 94
    assert [ledger.commit(each, ANNA, {"images": 1}, START) for each in held] == [False, False]
    assert ledger.reserve("r", ANNA, {"images": 1}, 60 * NANOSECONDS, after(600)).decision.allowed


def test_full_of_buckets_it_refuses_new_ones_only() -> None:
    """Ensures that a cap never drops a limit in force: accounts that are known go on, new ones are refused."""
    ledger = make(buckets_max=4)
    ledger.check("a", ANNA, {"images": 1, "requests": 1}, START)
    with pytest.raises(ServerOverloaded):
        ledger.check("b", BERT, {"images": 1, "requests": 1}, START)
    assert left(ledger, BERT) == [5, 100, 149]
    assert ledger.check("c", ANNA, {"images": 1}, START).allowed


def test_many_ends_at_once_are_spread_over_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that no single call has to wait for a million ends, and that one's own is always on time."""
    monkeypatch.setattr(ledger_module, "RESERVATIONS_ENDED_A_CALL", 10)
    ledger = make()
    ids = [ledger.reserve(f"r{number}", ANNA, {"images": 1}, NANOSECONDS, START).reservation_id for number in range(30)]
    assert ledger.commit(ids[-1], ANNA, {"images": 1}, after(1))
    assert ledger.sizes()["reservations"] == 30 - 10 - 1
    assert not ledger.release(ids[-2], after(1))
    assert left(ledger, at=after(1))[1] == 99


def test_settled_reservations_leave_no_trace_in_the_heap() -> None:
    """Ensures that holds of a day that are settled at once do not pile up until the day is over."""
    ledger = make()
    for number in range(5000):
        held = ledger.reserve(f"r{number}", ANNA, {"images": 1}, 86400 * NANOSECONDS, START)
        ledger.release(held.reservation_id, START)
    assert len(ledger._reservations._ends) <= 1001
