"""Who has used how much: all limits of a request are looked at first, then all are charged or none is.

One event loop owns a ledger, so nothing here locks or waits. Time comes in with each call and must not go back.
"""

from dataclasses import dataclass
from typing import NamedTuple

from mezzotint.ratelimit.answers import ANSWERS_MAX, Answers
from mezzotint.ratelimit.buckets import BUCKETS_MAX, Buckets
from mezzotint.ratelimit.limit import Decision, Moment, State, Status, Subject
from mezzotint.ratelimit.packing import answered, plain
from mezzotint.ratelimit.policy import Policy
from mezzotint.ratelimit.reservations import RESERVATIONS_MAX, Reservation, Reservations, unpacked
from mezzotint.ratelimit.tally import Amounts, Tally
from mezzotint.runtime.clock import NewId
from mezzotint.runtime.errors import FieldInvalid

# What one call does of the work that is not its own, so that no call waits long for it.
BUCKETS_LOOKED_AT_A_CALL = 4
RESERVATIONS_ENDED_A_CALL = 1000


@dataclass(frozen=True)
class Caps:
    """The most that a ledger holds; beyond it ServerOverloaded."""

    reservations_max: int = RESERVATIONS_MAX
    answers_max: int = ANSWERS_MAX
    buckets_max: int = BUCKETS_MAX


class Reserved(NamedTuple):
    """The answer of a reservation; denied: without id and end."""

    decision: Decision
    reservation_id: str
    ends_wall_ns: int


class Saved(NamedTuple):
    """What outlives the process: lasting states by limit and key, and open reservations, packed."""

    wall_ns: int
    states: dict[str, dict[str, State]]
    reservations: list[bytes]


class Ledger:
    """The states of all limits of a policy, open reservations, and the answers of the last ten minutes."""

    def __init__(self, policy: Policy, new_id: NewId, caps: Caps | None = None) -> None:
        caps = caps or Caps()
        self._policy = policy
        self._limits = policy.limits()
        self._new_id = new_id
        self._buckets = Buckets(caps.buckets_max)
        self._tally = Tally(self._buckets)
        self._reservations = Reservations(caps.reservations_max)
        self._checks, self._reserves, self._commits = (Answers(caps.answers_max) for _ in range(3))

    def check(self, request_id: str, subject: Subject, amounts: Amounts, at: Moment) -> Decision:
        """Charge for good. Raises TierUnknown, RequestIdReused, ServerOverloaded; a denial is decided anew on a retry."""
        self.advance(at)
        limits = self._policy.limits_of(subject.tier)
        key, asked = (subject.account_id, request_id), fingerprint(amounts)
        if known := self._checks.find(key, asked):
            return answered(known, self._limits)
        self._checks.require_room(at)
        decision, _ = self._tally.decide(subject.account_id, limits, amounts, at)
        if decision.allowed:
            self._checks.keep(key, asked, plain(decision), at)
        return decision

    def reserve(self, request_id: str, subject: Subject, amounts: Amounts, hold_ns: int, at: Moment) -> Reserved:
        """Charge until it is settled, at most for `hold_ns`. Raises as `check` does."""
        self.advance(at)
        limits = self._policy.limits_of(subject.tier)
        key, asked = (subject.account_id, request_id), fingerprint(amounts)
        if known := self._reserves.find(key, asked):
            return Reserved(answered(known[0], self._limits), *known[1:])
        self._reserves.require_room(at)
        self._reservations.require_room()
        decision, lines = self._tally.decide(subject.account_id, limits, amounts, at)
        if not decision.allowed:
            return Reserved(decision, "", 0)
        ends = Moment(at.steady_ns + hold_ns, at.wall_ns + hold_ns)
        reservation = Reservation(self._new_id("rsv"), subject.account_id, subject.tier, lines, ends)
        self._reservations.add(reservation)
        answer = Reserved(decision, reservation.id, ends.wall_ns)
        self._reserves.keep(key, asked, (plain(decision), *answer[1:]), at)
        return answer

    def commit(self, reservation_id: str, subject: Subject, amounts: Amounts, at: Moment) -> bool:
        """Settle at the real amounts, whatever remains; true: late, the reservation was over, and `subject` was charged.

        Raises FieldInvalid if the reservation is another account's; for a late one TierUnknown, ServerOverloaded.
        """
        self.advance(at)
        known = self._commits.find(reservation_id, 0)
        if known is not None:
            return bool(known)
        reservation = self._open(reservation_id, at)
        if reservation is None:
            limits = self._policy.limits_of(subject.tier)
            self._commits.require_room(at)
            self._tally.settle(subject.account_id, limits, (), amounts, at)
        else:
            if reservation.account_id != subject.account_id:
                raise FieldInvalid.of(
                    "subject.account_id", "the reservation is of another account; name the one it was made for"
                )
            self._reservations.remove(reservation)
            self._tally.settle(reservation.account_id, self._policy.limits_of(reservation.tier), reservation.lines, amounts, at)
        self._commits.keep(reservation_id, 0, reservation is None, at)
        return reservation is None

    def release(self, reservation_id: str, at: Moment) -> bool:
        """Give a reservation back whole; false: it is over or unknown."""
        self.advance(at)
        reservation = self._open(reservation_id, at)
        if reservation is not None:
            self._give_back(reservation, at)
        return reservation is not None

    def peek(self, subject: Subject, at: Moment) -> tuple[Status, ...]:
        """Where every limit of a caller stands. Raises TierUnknown."""
        self.advance(at)
        return self._tally.stand(subject.account_id, self._policy.limits_of(subject.tier), at)

    def advance(self, at: Moment) -> None:
        """Give back what is over and forget what has no effect any more; so much of it that no call waits long."""
        for _ in range(RESERVATIONS_ENDED_A_CALL):
            reservation = self._reservations.next_over(at)
            if reservation is None:
                break
            self._give_back(reservation, at)
        for answers in (self._checks, self._reserves, self._commits):
            answers.forget(at)
        self._buckets.forget(at, BUCKETS_LOOKED_AT_A_CALL)

    def save(self, at: Moment) -> Saved:
        """A copy of what outlives the process."""
        states = {limit.name: self._buckets.states(limit) for limit in self._limits.values() if limit.lasting}
        return Saved(at.wall_ns, states, self._reservations.copies())

    def restore(self, saved: Saved, at: Moment) -> None:
        """Take over what an earlier process saved, into an empty ledger; limits that the policy has no more are left out.

        Reservations of a tier that the policy has no more are given back.
        """
        lasting = {name: limit for name, limit in self._limits.items() if limit.lasting}
        for name, limit in lasting.items():
            for key, state in saved.states.get(name, {}).items():
                self._buckets.put(limit, key, state)
        for reservation in saved.reservations:
            resumed = unpacked(reservation).resumed(lasting, at)
            self._reservations.add(resumed)
            if resumed.tier not in self._policy.tiers:
                self._give_back(resumed, at)

    def sizes(self) -> dict[str, int]:
        """How much is held, for metrics."""
        answers = len(self._checks) + len(self._reserves) + len(self._commits)
        return {"buckets": len(self._buckets), "reservations": len(self._reservations), "answers": answers}

    def _open(self, reservation_id: str, at: Moment) -> Reservation | None:
        reservation = self._reservations.get(reservation_id)
        if reservation is not None and reservation.ends.steady_ns <= at.steady_ns:
            self._give_back(reservation, at)
            return None
        return reservation

    def _give_back(self, reservation: Reservation, at: Moment) -> None:
        self._reservations.remove(reservation)
        for line in reservation.lines:
            self._tally.refund(reservation.account_id, self._limits[line.limit], line.amount, line.charged, at)


def fingerprint(amounts: Amounts) -> int:
    """Tells requests of one id apart without keeping them."""
    return hash(tuple(sorted(amounts.items())))
