"""Charges the limits of a caller all or none, and corrects charges afterwards."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mezzotint.ratelimit.buckets import Buckets
from mezzotint.ratelimit.limit import Decision, Limit, Moment, State, Status
from mezzotint.ratelimit.reservations import Line

# Amounts by dimension.
Amounts = Mapping[str, int]


class _Trial(NamedTuple):
    """What is asked of one limit."""

    limit: Limit
    state: State
    amount: int

    def wait_ns(self, at: Moment) -> int | None:
        return self.limit.wait_ns(self.state, self.amount, at) if self.amount else 0

    def status(self, wait_ns: int | None, at: Moment) -> Status:
        remaining, reset_after_ns = self.limit.peek(self.state, at)
        return Status(self.limit, remaining, reset_after_ns, wait_ns)


class Tally:
    """What every key of every limit was charged."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def decide(
        self, account_id: str, limits: Sequence[Limit], amounts: Amounts, at: Moment
    ) -> tuple[Decision, tuple[Line, ...]]:
        """Charge every limit if all let `amounts` pass, else none; what each was charged. Raises ServerOverloaded."""
        trials = [_Trial(limit, self._buckets.get(limit, account_id), amounts.get(limit.dimension, 0)) for limit in limits]
        waits = [trial.wait_ns(at) for trial in trials]
        if any(wait != 0 for wait in waits):
            known = [wait for wait in waits if wait is not None]
            statuses = tuple(trial.status(wait, at) for trial, wait in zip(trials, waits, strict=True))
            return Decision(False, statuses, max(known) if len(known) == len(waits) else None), ()
        self._buckets.require_room(sum(trial.state is None and trial.amount > 0 for trial in trials))
        lines = tuple(self.charge(account_id, trial.limit, trial.amount, at) for trial in trials if trial.amount)
        return Decision(True, self.stand(account_id, limits, at), 0), lines

    def stand(self, account_id: str, limits: Sequence[Limit], at: Moment) -> tuple[Status, ...]:
        """Where limits stand when nothing is asked of them."""
        return tuple(_Trial(limit, self._buckets.get(limit, account_id), 0).status(0, at) for limit in limits)

    def settle(self, account_id: str, limits: Sequence[Limit], lines: Sequence[Line], amounts: Amounts, at: Moment) -> None:
        """Make what `lines` charged what `amounts` say, whatever remains."""
        charged = {line.limit: line for line in lines}
        for limit in limits:
            real = amounts.get(limit.dimension, 0)
            line = charged.get(limit.name, Line(limit.name, 0, None))
            if real > line.amount:
                self.charge(account_id, limit, real - line.amount, at)
            elif real < line.amount:
                self.refund(account_id, limit, line.amount - real, line.charged, at)

    def charge(self, account_id: str, limit: Limit, amount: int, at: Moment) -> Line:
        """Charge one limit, whatever remains."""
        state = limit.charge(self._buckets.get(limit, account_id), amount, at)
        self._buckets.put(limit, account_id, state)
        return Line(limit.name, amount, state)

    def refund(self, account_id: str, limit: Limit, amount: int, charged: State, at: Moment) -> None:
        """Give `amount` back of a charge that left `charged` behind."""
        state = self._buckets.get(limit, account_id)
        if state is not None:
            self._buckets.put(limit, account_id, limit.refund(state, amount, charged, at))
