"""The accounts of a tier that have work, in the order of their turns."""

import heapq
from collections import OrderedDict
from itertools import count

from mezzotint.queue.job import Job

# Accounts that were idle go first, but after this many of them in a row one that waits longer gets its turn.
FRESH_IN_A_ROW_MAX = 8
# Entries that no longer count are cleared out when there are this many of them and as many as there were others.
STALE_ENTRIES_MAX = 64


class Flow:
    """One account: its waiting jobs in order with their tags, its pass (the work it has had), and its jobs under way."""

    __slots__ = ("account_id", "fresh", "in_flight", "key", "listed", "tag", "used", "waiting")

    def __init__(self, account_id: str, used: int) -> None:
        self.account_id = account_id
        self.waiting: OrderedDict[str, tuple[Job, int]] = OrderedDict()
        self.used = used
        self.tag = used
        self.in_flight = 0
        self.fresh = False
        self.listed = False
        self.key = 0


class Turns:
    """Accounts with work: those that just came back first, then by the work they have had, then by their jobs under way."""

    def __init__(self) -> None:
        self._fresh: OrderedDict[str, Flow] = OrderedDict()
        self._fresh_run = 0
        self._old: list[tuple[int, int, int, Flow]] = []
        self._full = STALE_ENTRIES_MAX
        self._keys = count(1)

    def welcome(self, flow: Flow) -> None:
        """An account is back after a time without work: its next job goes before those of the others."""
        flow.fresh = True
        self._fresh[flow.account_id] = flow

    def place(self, flow: Flow) -> None:
        """Put an account with work where it belongs now; where it was before counts no longer."""
        if len(self._old) >= self._full:
            self._old = [entry for entry in self._old if _current(entry)]
            heapq.heapify(self._old)
            self._full = STALE_ENTRIES_MAX + 2 * len(self._old)
        flow.key = next(self._keys)
        heapq.heappush(self._old, (flow.used, flow.in_flight, flow.key, flow))

    def drop(self, flow: Flow) -> None:
        """An account has no work any more."""
        flow.fresh = False
        self._fresh.pop(flow.account_id, None)

    def next(self) -> Flow:
        """The account whose turn it is; it is the caller's to place again if it still has work."""
        while self._old and not _current(self._old[0]):
            heapq.heappop(self._old)
        if self._fresh and (self._fresh_run < FRESH_IN_A_ROW_MAX or not self._old):
            self._fresh_run += 1
            flow = self._fresh.popitem(last=False)[1]
            flow.fresh = False
            return flow
        self._fresh_run = 0
        return heapq.heappop(self._old)[3]


def _current(entry: tuple[int, int, int, Flow]) -> bool:
    """The account is where this entry says."""
    flow = entry[3]
    return flow.key == entry[2] and bool(flow.waiting) and not flow.fresh
