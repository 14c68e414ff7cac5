"""The accounts of a tier that have work, in the order of their turns."""

import heapq
import math
from collections import OrderedDict
from enum import Enum
from itertools import count

from mezzotint.queue.account_line import AccountLine

# Accounts that were idle go first, but after this many of them in a row one that waits longer gets its turn.
FRESH_IN_A_ROW_MAX = 8
# Entries that no longer count are cleared out when there are this many of them and as many as there were others.
STALE_ENTRIES_MAX = 64


class Lane(Enum):
    """Where an account stands: nowhere, in the order of its work, among those just back or those that waited too long.

    Or it has work, and as many jobs under way as it may.
    """

    NONE = 0
    OLD = 1
    FRESH = 2
    AGED = 3
    FULL = 4


# To read a member of an enum from its class takes as long as a call.
NONE, OLD, FRESH, AGED, FULL = Lane


class Flow:
    """One account: its waiting jobs in order with their tags, its pass (the work it has had), and its jobs under way.

    `free_at`: when it last waited for jobs of its own to end, and for that no more from then on; -inf: it never did.
    """

    __slots__ = (
        "account_id",
        "free_at",
        "in_flight",
        "key",
        "lane",
        "listed",
        "started_at",
        "tag",
        "used",
        "waiting",
        "watched",
    )

    def __init__(self, account_id: str, used: int) -> None:
        self.account_id = account_id
        self.waiting = AccountLine()
        self.used = used
        self.tag = used
        self.in_flight = 0
        self.lane = NONE
        self.listed = False
        self.watched = False
        self.started_at = 0.0
        self.free_at = -math.inf
        self.key = 0


class Turns:
    """Accounts that may have a job started: aged ones, those that just came back, the others by the work they have had.

    Every second turn at most is given for age, so that accounts that come back, or have had little work, are not shut out by
    those that have aged when a tier cannot keep its promise.
    """

    def __init__(self) -> None:
        self.count = 0
        """Accounts that may have a job started."""
        self._fresh: OrderedDict[str, Flow] = OrderedDict()
        self._aged: OrderedDict[str, Flow] = OrderedDict()
        self._full: OrderedDict[str, Flow] = OrderedDict()
        self._old: list[tuple[int, int, int, Flow]] = []
        self._fresh_run = 0
        self._aged_run = False
        self._old_max = STALE_ENTRIES_MAX
        self._keys = count(1)

    def welcome(self, flow: Flow) -> None:
        """An account is back after a time without work: its next job goes before those of the others."""
        self._enter(flow, FRESH)

    def promote(self, flow: Flow) -> None:
        """An account has waited too long: its next job goes before all others, after those promoted earlier."""
        if flow.lane is not OLD:
            self.place(flow)
        self._enter(flow, AGED)

    def place(self, flow: Flow) -> None:
        """Put an account where its work and its jobs under way say; where it was before counts no longer, but for its age."""
        if len(self._old) >= self._old_max:
            self._old = [entry for entry in self._old if _current(entry)]
            heapq.heapify(self._old)
            self._old_max = STALE_ENTRIES_MAX + 2 * len(self._old)
        if flow.lane is not AGED:
            self._enter(flow, OLD)
        flow.key = next(self._keys)
        heapq.heappush(self._old, (flow.used, flow.in_flight, flow.key, flow))

    def stop(self, flow: Flow) -> None:
        """An account has as many jobs under way as it may."""
        if flow.lane is not FULL:
            self._enter(flow, FULL)

    def drop(self, flow: Flow) -> None:
        """An account has no work any more."""
        self._enter(flow, NONE)

    def next(self) -> Flow:
        """The account whose turn it is; it is the caller's to place again if it still has work.

        When none may have a job started, it is the one that was stopped first.
        """
        flow = self._next() if self.count else next(iter(self._full.values()))
        self.drop(flow)
        return flow

    def _next(self) -> Flow:
        while self._old and not _current(self._old[0]):
            heapq.heappop(self._old)
        fresh, aged = self._fresh, self._aged
        self._fresh_run = self._fresh_run if fresh else 0
        self._aged_run = bool(aged) and not (self._aged_run and (fresh or self._old))
        if self._aged_run:
            return next(iter(aged.values()))
        if fresh and (self._fresh_run < FRESH_IN_A_ROW_MAX or not self._old):
            self._fresh_run += 1
            return next(iter(fresh.values()))
        self._fresh_run = 0
        return heapq.heappop(self._old)[3]

    def _enter(self, flow: Flow, lane: Lane) -> None:
        before, flow.lane = flow.lane, lane
        self.count += (lane is not NONE and lane is not FULL) - (before is not NONE and before is not FULL)
        if before is FRESH:
            del self._fresh[flow.account_id]
        elif before is AGED:
            del self._aged[flow.account_id]
        elif before is FULL:
            del self._full[flow.account_id]
        if lane is FRESH:
            self._fresh[flow.account_id] = flow
        elif lane is AGED:
            self._aged[flow.account_id] = flow
        elif lane is FULL:
            self._full[flow.account_id] = flow


def _current(entry: tuple[int, int, int, Flow]) -> bool:
    """The account is where this entry says."""
    flow = entry[3]
    return flow.key == entry[2] and flow.lane in (OLD, AGED)
