"""Capacity that nobody else wants, lent to deferred jobs. Pure; moments are of the monotonic clock."""

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from itertools import count

from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Kind, Kinds, Moment

# What the other tiers have left over for all of so long is lent. Work that has begun is not interrupted, so they would wait if
# what they leave for a moment were lent as well: benchmarks/queue_fairness/README.md has the figures.
LEND_AFTER_SECONDS = 10.0
# So much of it as was left over at any time in so long: between the end of a job and its worker's next credit none is seen.
SLOT_SECONDS = 0.25
# Credits that are not used, by the kinds that their workers take; 0 where all are used.
Idle = Mapping[tuple[str, ...], int]


class Spare:
    """The least of what was spare over the last LEND_AFTER_SECONDS, and nothing before the first look."""

    def __init__(self) -> None:
        # The most of a slot: the least from the slot named until the next entry's, and smaller than that of all later entries.
        self._lows: deque[tuple[int, int]] = deque()
        self._slot: int | None = None
        self._most = 0

    def least(self, at: float, spare: int) -> int:
        """The least until now, when it is `spare`."""
        slot = math.floor(at / SLOT_SECONDS)
        if self._slot is None:
            self._lows.append((slot - 1, 0))
        elif slot != self._slot:
            self._keep(self._slot, self._most)
        self._most = max(self._most, spare) if slot == self._slot else spare
        self._slot = slot
        while len(self._lows) > 1 and self._lows[1][0] * SLOT_SECONDS <= at - LEND_AFTER_SECONDS:
            self._lows.popleft()
        return self._lows[0][1]

    def _keep(self, slot: int, most: int) -> None:
        while self._lows and self._lows[-1][1] >= most:
            slot = self._lows.pop()[0]
        self._lows.append((slot, most))


class Lending:
    """What a pool of workers can lend is what is idle in it or at work on jobs that can be deferred: nobody else took it.

    So a loan that comes back can be given again at once, and one that another tier takes up meanwhile is not. A loan is on its
    way until the job is queued; a queued job that does not begin found nobody idle, and keeps no other from a loan.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._spare: dict[frozenset[str], Spare] = {}
        # The number of the latest loan to each tier of each kind.
        self._latest: Counter[tuple[str, str]] = Counter()
        self._numbers = count(1)

    def lend(self, idle: Idle, moment: Moment, deferrable: Collection[str]) -> list[Job]:
        """Deferred jobs to be queued now, beside those that the pace of their tiers allows."""
        self._spare = {pool: self._spare.get(pool) or Spare() for pool in (pools(idle) if deferrable else ())}
        wanted = {name for name, kind in self._kinds.by_name.items() if kind.scheduler.ready}
        unwanted = {taken: credits_ for taken, credits_ in idle.items() if wanted.isdisjoint(taken)}
        jobs: list[Job] = []
        for pool, spare in self._spare.items():
            kinds = {name: kind for name, kind in self._kinds.by_name.items() if name in pool}
            lent = sum(kind.scheduler.lines.under_way(deferrable) for kind in kinds.values())
            least = spare.least(moment.at, lent + sum(idle[taken] for taken in idle if pool.issuperset(taken)))
            on_the_way = sum(len(kind.sidelines.loans) for kind in kinds.values())
            jobs += self._give(kinds, unwanted, least - lent - on_the_way, moment.at)
        return jobs

    def _give(self, kinds: Mapping[str, Kind], idle: Idle, most: int, at: float) -> list[Job]:
        """Up to `most` jobs; the tiers of the kinds take turns, each as far as workers that take it are idle."""
        able = {name: sum(idle[taken] for taken in idle if name in taken) for name in kinds}
        waiting = [(name, tier) for name, kind in kinds.items() for tier in kind.deferred()]
        lines = deque(sorted(waiting, key=self._latest.__getitem__))
        jobs: list[Job] = []
        while lines and len(jobs) < most:
            name, tier = lines.popleft()
            if len(kinds[name].sidelines.loans) < able[name] and (job := kinds[name].sidelines.lend(tier, at)):
                self._latest[name, tier] = next(self._numbers)
                lines.append((name, tier))
                jobs.append(job)
        return jobs


def pools(kinds: Iterable[Collection[str]]) -> list[frozenset[str]]:
    """The kinds that workers have in common, from what each takes: two that one worker takes are in the same pool."""
    found: list[frozenset[str]] = []
    for pool in map(frozenset, kinds):
        shared = [other for other in found if other & pool]
        found = [other for other in found if not other & pool] + [pool.union(*shared)]
    return found
