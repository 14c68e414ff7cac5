"""Charges the limits of a caller all or none, and corrects charges afterwards."""

from collections.abc import Mapping, Sequence

from mezzotint.ratelimit.buckets import Buckets
from mezzotint.ratelimit.limit import Decision, Limit, Moment, State, Status
from mezzotint.ratelimit.reservations import Line

# Amounts by dimension.
Amounts = Mapping[str, int]


class Tally:
    """What every key of every limit was charged."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def decide(
        self, account_id: str, limits: Sequence[Limit], amounts: Amounts, at: Moment
    ) -> tuple[Decision, tuple[Line, ...]]:
        """Charge every limit if all let `amounts` pass, else none; what each was charged. Raises ServerOverloaded."""
        before = self.stand(account_id, limits, amounts, at)
        waits = [status.retry_after_ns for status in before]
        if any(wait != 0 for wait in waits):
            known = [wait for wait in waits if wait is not None]
            return Decision(False, before, max(known) if len(known) == len(waits) else None), ()
        counted = [limit for limit in limits if limit.dimension in amounts]
        self._buckets.require_room(sum(self._buckets.get(limit, account_id) is None for limit in counted))
        lines = tuple(self.charge(account_id, limit, amounts[limit.dimension], at) for limit in counted)
        return Decision(True, self.stand(account_id, limits, {}, at), 0), lines

    def stand(self, account_id: str, limits: Sequence[Limit], amounts: Amounts, at: Moment) -> tuple[Status, ...]:
        """Where limits stand, and how long a charge of `amounts` would have to wait for each."""
        found = []
        for limit in limits:
            state, amount = self._buckets.get(limit, account_id), amounts.get(limit.dimension, 0)
            wait_ns = limit.wait_ns(state, amount, at) if amount else 0
            remaining, reset_after_ns = limit.peek(state, at)
            found.append(Status(limit, remaining, reset_after_ns, wait_ns))
        return tuple(found)

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
