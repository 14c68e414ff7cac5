"""The accounts of one tier that are remembered, and the tier's virtual time: the work that whoever is next has had. Pure."""

import heapq
from collections.abc import Iterator
from itertools import count

from mezzotint.queue.flows import Flow


class Accounts:
    """Those with work, and those that have had more of it than the others; one that comes back begins at `now`."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}
        self._idle: list[tuple[int, int, Flow]] = []
        self._keys = count(1)
        self.in_flight = 0
        """Jobs under way, of all accounts."""
        self.now = 0
        """The tier's virtual time, in milliseconds of work."""
        self._latest = 0

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._flows.values())

    def find(self, account_id: str) -> Flow | None:
        """An account, if it is remembered."""
        return self._flows.get(account_id)

    def open(self, account_id: str) -> Flow:
        """An account; one that is not remembered begins now."""
        flow = self._flows.get(account_id)
        if flow is None:
            flow = self._flows[account_id] = Flow(account_id, self.now)
        return flow

    def serve(self, flow: Flow) -> None:
        """It is this account's turn: time has come as far as its work has."""
        if flow.used > self.now:
            self.now = flow.used

    def charge(self, flow: Flow, cost_ms: int) -> None:
        """A job of an account is under way."""
        flow.used += cost_ms
        flow.in_flight += 1
        self.in_flight += 1
        if flow.used > self._latest:
            self._latest = flow.used

    def finish(self, flow: Flow, more_ms: int) -> None:
        """A job of an account is no longer under way, and cost so much more, or less, than was charged."""
        flow.in_flight -= 1
        self.in_flight -= 1
        assert flow.in_flight >= 0, f"no job of {flow.account_id} was under way"
        flow.used += more_ms

    def rest(self, flow: Flow, *, empty: bool) -> None:
        """An account has nothing that waits any more; `empty`: nobody in the tier has."""
        if not flow.in_flight and not flow.listed:
            self._list(flow)
        self.settle(empty=empty)

    def settle(self, *, empty: bool) -> None:
        """Move time on when nobody in the tier waits, and forget idle accounts that it has passed."""
        if empty:
            self.now = max(self.now, self._latest)
        while self._idle and self._idle[0][0] <= self.now:
            flow = heapq.heappop(self._idle)[2]
            flow.listed = False
            if flow.waiting or flow.in_flight:
                continue
            if flow.used > self.now:
                self._list(flow)
            else:
                del self._flows[flow.account_id]

    def _list(self, flow: Flow) -> None:
        flow.listed = True
        heapq.heappush(self._idle, (flow.used, next(self._keys), flow))
