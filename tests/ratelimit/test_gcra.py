"""The generic cell rate algorithm, against what it promises."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.limit import NANOSECONDS, Moment

gcras = st.builds(
    Gcra,
    name=st.just("limit"),
    dimension=st.just("requests"),
    count=st.integers(1, 1000),
    per_seconds=st.integers(1, 3600),
    burst=st.integers(1, 50),
)
amounts = st.integers(1, 60)
# Nanoseconds that pass before each charge: often none, sometimes much.
gaps = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 100 * NANOSECONDS))


def moment(steady_ns: int) -> Moment:
    """A reading of the clocks; only the steady one counts here."""
    return Moment(steady_ns, 0)


@given(gcras, st.lists(st.tuples(gaps, amounts), max_size=60))
def test_no_window_admits_more_than_burst_and_rate(gcra: Gcra, charges: list[tuple[int, int]]) -> None:
    """Ensures that between any two moments at most the burst and what the rate gives passes, exactly."""
    state, now, admitted = None, 1, list[tuple[int, int]]()
    for gap, amount in charges:
        now += gap
        if gcra.wait_ns(state, amount, moment(now)) == 0:
            state = gcra.charge(state, amount, moment(now))
            admitted.append((now, amount))
    rate = Fraction(gcra.count, gcra.per_seconds * NANOSECONDS)
    for first, (begin, _) in enumerate(admitted):
        total = 0
        for end, amount in admitted[first:]:
            total += amount
            assert total <= gcra.burst + rate * (end - begin)


@given(gcras, st.lists(st.tuples(gaps, amounts), max_size=20), amounts)
def test_wait_is_exact(gcra: Gcra, charges: list[tuple[int, int]], amount: int) -> None:
    """Ensures that a charge passes after the wait it was told and not a nanosecond before; never only beyond the burst."""
    state, now = None, 1
    for gap, each in charges:
        now += gap
        state = gcra.charge(state, each, moment(now))
    wait = gcra.wait_ns(state, amount, moment(now))
    if amount > gcra.burst:
        assert wait is None
    else:
        assert wait is not None
        assert gcra.wait_ns(state, amount, moment(now + wait)) == 0
        assert wait == 0 or gcra.wait_ns(state, amount, moment(now + wait - 1)) != 0


@given(gcras, st.lists(st.tuples(gaps, amounts), max_size=20))
def test_remaining_is_what_passes(gcra: Gcra, charges: list[tuple[int, int]]) -> None:
    """Ensures that `remaining` passes and one more does not, and that after `reset_after` everything does."""
    state, now = None, 1
    for gap, amount in charges:
        now += gap
        state = gcra.charge(state, amount, moment(now))
    remaining, reset = gcra.peek(state, moment(now))
    assert 0 <= remaining <= gcra.burst
    assert remaining == 0 or gcra.wait_ns(state, remaining, moment(now)) == 0
    assert gcra.wait_ns(state, remaining + 1, moment(now)) != 0
    assert gcra.peek(state, moment(now + reset)) == (gcra.burst, 0)
    assert state is None or gcra.whole(state, moment(now + reset))


@given(gcras, st.lists(st.tuples(gaps, amounts), max_size=10), amounts, gaps, gaps)
def test_refund_undoes_a_charge(gcra: Gcra, charges: list[tuple[int, int]], amount: int, gap: int, later: int) -> None:
    """Ensures that a charge given back leaves no trace, however much time passed in between."""
    state, now = None, 1
    for wait, each in charges:
        now += wait
        state = gcra.charge(state, each, moment(now))
    charged = gcra.charge(state, amount, moment(now))
    refunded = gcra.refund(charged, amount, charged, moment(now + gap))
    assert gcra.level(refunded, moment(now + gap + later)) == gcra.level(state, moment(now + gap + later))


@given(gcras, amounts, amounts, gaps)
def test_what_drained_is_not_given_back_again(gcra: Gcra, early: int, late: int, gap: int) -> None:
    """Ensures that a refund after the fact gives no more than is left of its charge, whatever was charged since."""
    charged = gcra.charge(None, early, moment(1))
    now = moment(1 + gap)
    state = gcra.charge(charged, late, now)
    given_back = gcra.level(state, now) - gcra.level(gcra.refund(state, early, charged, now), now)
    assert given_back == min(early * gcra.unit, gcra.level(charged, now))
    assert given_back <= early * gcra.unit


def test_waits_are_rounded_up_to_the_nanosecond() -> None:
    """Ensures that a third of a second, which no clock shows exactly, is not over before it is."""
    gcra = Gcra("limit", "requests", count=3, per_seconds=1, burst=1)
    state = gcra.charge(None, 1, moment(0))
    assert gcra.wait_ns(state, 1, moment(0)) == 333_333_334
    assert gcra.wait_ns(state, 1, moment(333_333_333)) == 1
    assert gcra.peek(state, moment(333_333_333)) == (0, 1)
