"""The ledger against the reference, by whatever sequence of calls, retries, waits and clock steps hypothesis thinks of."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from mezzotint.ratelimit.answers import REMEMBERED_SECONDS
from mezzotint.ratelimit.calendar_quota import CalendarQuota
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.ledger import Ledger
from mezzotint.ratelimit.limit import NANOSECONDS, Subject
from mezzotint.ratelimit.moments import Moments
from mezzotint.ratelimit.policy import Policy
from mezzotint.runtime.errors import FieldInvalid
from tests.ratelimit.reference import Reference
from tests.support.clock import ManualClock, counting_ids

BURST = Gcra("burst", "requests", 3, 7, 5)
DAY = CalendarQuota("day", "images", 12, "day")
TOGETHER = Gcra("together", "images", 2, 1, 9, shared=True)
HOUR = CalendarQuota("hour", "images", 20, "hour", shared=True)
POLICY = Policy({"free": (BURST, DAY, TOGETHER, HOUR), "plus": (TOGETHER, HOUR)})

accounts = st.sampled_from(["a", "b"])
tiers = st.sampled_from(["free", "plus"])
amounts = st.dictionaries(st.sampled_from(["requests", "images", "free of charge"]), st.integers(1, 14), min_size=1)
waits = st.one_of(st.integers(1, 5), st.integers(1, 4000), st.sampled_from([599.5, 86400]))


class LedgerMachine(RuleBasedStateMachine):
    """Does the same to both and compares what they say."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.moments = Moments(self.clock)
        self.ledger = Ledger(POLICY, counting_ids())
        self.reference = Reference(POLICY)
        self.requests = 0
        self.committed: dict[str, int] = {}

    @rule(account=accounts, tier=tiers, amounts=amounts)
    def check(self, account: str, tier: str, amounts: dict[str, int]) -> None:
        """Charge for good, and ask again under the same id."""
        at, subject, identifier = self.moments.read(), Subject(account, tier), self.fresh()
        self.reference.expire(at)
        decision = self.ledger.check(identifier, subject, amounts, at)
        assert decision.allowed == (self.reference.charge(account, tier, amounts, at) is not None)
        assert self.ledger.check(identifier, subject, amounts, at) == decision
        assert (decision.retry_after_ns == 0) == decision.allowed

    @rule(target=reservations, account=accounts, tier=tiers, amounts=amounts, hold=st.integers(1, 900))
    def reserve(self, account: str, tier: str, amounts: dict[str, int], hold: int) -> object:
        """Reserve, and ask again under the same id."""
        at, subject, identifier = self.moments.read(), Subject(account, tier), self.fresh()
        self.reference.expire(at)
        reserved = self.ledger.reserve(identifier, subject, amounts, hold * NANOSECONDS, at)
        charged = self.reference.charge(account, tier, amounts, at)
        assert reserved.decision.allowed == (charged is not None)
        assert self.ledger.reserve(identifier, subject, amounts, hold * NANOSECONDS, at) == reserved
        if charged is None:
            return multiple()
        self.reference.hold(reserved.reservation_id, account, tier, at.steady_ns + hold * NANOSECONDS, charged)
        return reserved.reservation_id

    @rule(identifier=reservations, amounts=amounts)
    def commit(self, identifier: str, amounts: dict[str, int]) -> None:
        """Settle one that is open, over, released or settled already; a retry has no further effect."""
        at, held = self.moments.read(), self.reference.held[identifier]
        self.reference.expire(at)
        late = self.ledger.commit(identifier, Subject(held.account, held.tier), amounts, at)
        if self.committed.get(identifier, -REMEMBERED_SECONDS * NANOSECONDS) <= at.steady_ns - REMEMBERED_SECONDS * NANOSECONDS:
            assert late == self.reference.commit(identifier, held.account, held.tier, amounts, at)
            self.committed[identifier] = at.steady_ns
        assert self.ledger.commit(identifier, Subject(held.account, held.tier), amounts, at) == late

    @rule(identifier=reservations)
    def release(self, identifier: str) -> None:
        """Give one back that may be open or not."""
        at = self.moments.read()
        self.reference.expire(at)
        assert self.ledger.release(identifier, at) == self.reference.release(identifier, at)
        assert not self.ledger.release(identifier, at)

    @rule(identifier=reservations)
    def mistake(self, identifier: str) -> None:
        """Name the wrong account."""
        at = self.moments.read()
        self.reference.expire(at)
        if self.reference.held[identifier].open:
            with pytest.raises(FieldInvalid):
                self.ledger.commit(identifier, Subject("c", "free"), {"images": 1}, at)

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600, -1, 1, 3600]))
    def set_clock(self, seconds: int) -> None:
        """Set the wall clock."""
        self.clock.step(seconds)

    @invariant()
    def agree(self) -> None:
        """Ensures that both say the same remains, of everybody's limits."""
        at = self.moments.read()
        self.reference.expire(at)
        for account, tier in (("a", "free"), ("b", "free"), ("a", "plus")):
            statuses = self.ledger.peek(Subject(account, tier), at)
            assert [status.remaining for status in statuses] == self.reference.remaining(account, tier, at)

    def teardown(self) -> None:
        """Ensures that nothing is left of anything when all its time is over."""
        self.clock.advance(40 * 86400)
        for _ in range(20):
            self.ledger.advance(self.moments.read())
        assert self.ledger.sizes() == {"buckets": 0, "reservations": 0, "answers": 0}

    def fresh(self) -> str:
        """A request id that was not used yet."""
        self.requests += 1
        return f"req_{self.requests}"


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
