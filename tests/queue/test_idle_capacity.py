"""Whatever accounts, limits, kinds and pauses there are: workers do not stay idle while a deferred job could begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.queue import transitions
from mezzotint.queue.deferral import AT_PEAK
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.kinds import Moment
from mezzotint.queue.lending import LEND_AFTER_SECONDS, Idle
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from tests.queue.records import NOW, new

PICTURE, EDIT = "image.generate", "image.edit"
TICK_SECONDS = 0.05
# After so long without a change whatever is idle was so for long enough, and has been lent.
REST_TICKS = round((LEND_AFTER_SECONDS + 2) / TICK_SECONDS)
# The floor admits one of these in an hour or more: what begins was lent.
COST_MS = 3_600_000


@dataclass
class Man:
    """A worker with one slot."""

    kinds: tuple[str, ...]
    job: Job | None = None


class Shop:
    """A waiting room whose policy defers two tiers, and workers; admissions take `slow` ticks to be kept."""

    def __init__(self, limits: tuple[int | None, int | None], workers: Sequence[tuple[str, ...]], slow: int = 0) -> None:
        free, basic = (
            Tier(name, 1, 0.01, deferrable=True, account_running_max=limit)
            for name, limit in zip(("free", "basic"), limits, strict=True)
        )
        self.limits = {"free": limits[0], "basic": limits[1], "pro": None}
        self.room = WaitingRoom(Policy((free, basic, Tier("pro", 9)), 5.0))
        self.men = [Man(kinds) for kinds in workers]
        self.paused: frozenset[str] = frozenset()
        self.deferred: dict[str, Job] = {}
        self._slow = slow
        self._keeping: list[tuple[int, Job]] = []
        self._ticks = self._numbers = 0

    def defer(self, account: str, tier: str, kind: str, jobs: int = 1) -> None:
        """Jobs are deferred."""
        for _ in range(jobs):
            self._enter(account, tier, kind, AT_PEAK)

    def pay(self, kind: str) -> None:
        """A job that is never deferred waits."""
        self._enter("payer", "pro", kind, "")
        self._dispatch()

    def finish(self, index: int) -> None:
        """One of the jobs under way ends."""
        if busy := [man for man in self.men if man.job]:
            man = busy[index % len(busy)]
            assert man.job
            self.room.release(man.job, None, for_good=True)
            man.job = None
            self._dispatch()

    def pause(self, tiers: frozenset[str]) -> None:
        """Exactly these tiers are paused."""
        self.paused = tiers
        self.room.kinds.pause(tiers)
        self._dispatch()

    def tick(self, ticks: int = 1) -> None:
        """Time passes."""
        for _ in range(ticks):
            self._ticks += 1
            self._keeping += [(self._ticks + self._slow, job) for job in self.room.admit(self._moment(), self._idle())]
            kept = [job for due, job in self._keeping if due <= self._ticks]
            self._keeping = [entry for entry in self._keeping if entry[0] > self._ticks]
            for job in kept:
                del self.deferred[job.job_id]
                self.room.leave(job, for_good=False)
                self.room.enter(transitions.admit(job, NOW).job, self._moment(), again=True)
            self._dispatch()

    def wasted(self) -> list[tuple[Man, Job]]:
        """Workers that are idle, with a deferred job that each could begin."""
        return [(man, job) for man in self.men if not man.job for job in self.deferred.values() if self._could_begin(man, job)]

    def running(self, account: str) -> int:
        """The jobs of an account under way."""
        return sum(man.job is not None and man.job.account_id == account for man in self.men)

    def _could_begin(self, man: Man, job: Job) -> bool:
        limit = self.limits[job.tier]
        below = limit is None or self.running(job.account_id) < limit
        return job.kind in man.kinds and job.tier not in self.paused and below

    def _enter(self, account: str, tier: str, kind: str, deferral: str) -> None:
        self._numbers += 1
        request = new(account_id=account, kind=kind, tier=tier, cost_ms=COST_MS, start_within=1e6)
        job = transitions.accept(request, f"job_{self._numbers}", NOW, deferral).job
        if job.state is JobState.DEFERRED:
            self.deferred[job.job_id] = job
        self.room.enter(job, self._moment())

    def _dispatch(self) -> None:
        for man in self.men:
            if not man.job:
                man.job = self.room.pick(man.kinds, self._moment())
                limit = self.limits[man.job.tier] if man.job else None
                assert limit is None or (man.job and self.running(man.job.account_id) <= limit), "more under way than may be"

    def _idle(self) -> Idle:
        return {kinds: sum(man.kinds == kinds and not man.job for man in self.men) for kinds in {man.kinds for man in self.men}}

    def _moment(self) -> Moment:
        return Moment(NOW + self._ticks * TICK_SECONDS, self._ticks * TICK_SECONDS)


ACCOUNTS, TIERS, KINDS = st.sampled_from("ab"), st.sampled_from(("free", "basic")), st.sampled_from((PICTURE, EDIT))
LIMIT = st.none() | st.integers(1, 3)
WORKERS = st.lists(st.sampled_from(((PICTURE,), (EDIT,), (PICTURE, EDIT))), min_size=1, max_size=5)
STEPS = st.one_of(
    st.tuples(st.just("defer"), ACCOUNTS, TIERS, KINDS, st.integers(1, 5)),
    st.tuples(st.just("defer"), ACCOUNTS, TIERS, KINDS, st.integers(1, 5)),
    st.tuples(st.just("pay"), KINDS),
    st.tuples(st.just("finish"), st.integers(0, 4)),
    st.tuples(st.just("pause"), st.frozensets(st.sampled_from(("free", "basic", "pro")), max_size=2)),
    st.tuples(st.just("tick"), st.integers(1, 30)),
    st.tuples(st.just("tick"), st.just(REST_TICKS)),
)


@settings(max_examples=400, deadline=None)
@given(st.tuples(LIMIT, LIMIT), WORKERS, st.integers(0, 4), st.lists(STEPS, max_size=25))
def test_nothing_stays_idle_that_could_be_lent(
    limits: tuple[int | None, int | None], workers: list[tuple[str, ...]], slow: int, steps: list[tuple[Any, ...]]
) -> None:
    """Ensures that after 12 s without a change no worker is idle for whom a deferred job could begin, and that limits hold."""
    shop = Shop(limits, workers, slow)
    for name, *arguments in [*steps, ("tick", REST_TICKS)]:
        getattr(shop, name)(*arguments)
        if arguments == [REST_TICKS]:
            assert not shop.wasted()


def test_an_account_at_its_limit_keeps_nobody_from_what_is_idle() -> None:
    """Ensures that jobs that were lent capacity while their account came to its limit do not count as on their way for ever."""
    shop = Shop((2, None), [(PICTURE,)] * 2 + [(EDIT,)] * 4)
    shop.defer("whale", "free", EDIT, 3)
    shop.tick(REST_TICKS)
    assert shop.running("whale") == 2
    shop.defer("whale", "free", PICTURE, 10)
    shop.defer("small", "free", PICTURE, 2)
    shop.tick(REST_TICKS)
    assert (shop.running("whale"), shop.running("small")) == (2, 2)


def test_a_tier_that_is_paused_with_jobs_on_their_way_keeps_nobody() -> None:
    """Ensures that what was lent to a tier that was paused before it could begin goes to others."""
    shop = Shop((None, None), [(PICTURE,)] * 3, slow=3)
    pass_floor(shop, ("free", PICTURE), ("basic", PICTURE))
    shop.defer("a", "free", PICTURE, 5)
    until_lent(shop, PICTURE)
    shop.pause(frozenset({"free"}))
    shop.defer("b", "basic", PICTURE, 5)
    shop.tick(REST_TICKS)
    assert (shop.running("a"), shop.running("b")) == (0, 3)


def test_a_loan_that_waits_for_its_own_workers_keeps_no_others_idle() -> None:
    """Ensures that a kind whose workers were taken meanwhile does not hold back another kind of the same pool."""
    shop = Shop((None, None), [(PICTURE, EDIT), (EDIT,)], slow=3)
    pass_floor(shop, ("free", PICTURE), ("free", EDIT))
    shop.defer("a", "free", PICTURE, 5)
    until_lent(shop, PICTURE)
    shop.pay(EDIT)
    shop.tick(REST_TICKS)
    assert shop.running("payer") == 1
    shop.defer("b", "free", EDIT, 5)
    shop.tick(REST_TICKS)
    assert (shop.running("a"), shop.running("b")) == (0, 1)


def pass_floor(shop: Shop, *lines: tuple[str, str]) -> None:
    """Let the one job of each line through that its bucket may be overdrawn by."""
    for tier, kind in lines:
        shop.defer("first", tier, kind)
        shop.tick(5)
        assert shop.running("first") == 1
        shop.finish(0)


def until_lent(shop: Shop, kind: str) -> None:
    """Time passes until jobs of a kind are on their way."""
    for _ in range(2 * REST_TICKS):
        if shop.room.kinds.of(kind).sidelines.loans:
            return
        shop.tick()
    raise AssertionError("nothing was lent")
