"""What is lent to deferred jobs, and what is kept for those who may come."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.queue import transitions
from mezzotint.queue.deferral import AT_PEAK
from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Moment
from mezzotint.queue.lending import LEND_AFTER_SECONDS, SLOT_SECONDS, Idle, Spare, pools
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.roster import Roster
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.worker import Worker
from tests.queue.records import NOW, new, waiting

KIND, OTHER = "image.generate", "image.edit"
TICK_SECONDS = 0.05
POLICY = Policy((Tier("free", 1, 0.01, deferrable=True, account_running_max=3), Tier("pro", 9)), 5.0)
# The floor admits no second one of these in the minutes of a test.
HOUR_MS = 3_600_000


class Peak:
    """A waiting room at a peak, whose deferred jobs are queued when they are admitted."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.room = WaitingRoom(policy)
        self.at = 0.0
        self.numbers = 0
        for index in range(20):
            self.room.enter(waiting(f"slow-{index}", tier="pro"), Moment(NOW, -60.0))
        for _ in range(20):
            job = self.room.pick([KIND], Moment(NOW + 60, 0.0))
            assert job
            self.room.release(job, None)
        self.room.peak.update(0.0, waiting=True)
        assert self.room.peak.update(0.0, waiting=True) is PeakMode.DEFERRING

    def defer(self, count: int, account: str = "acct_1", kind: str = KIND, tier: str = "free") -> None:
        """Jobs are deferred."""
        for _ in range(count):
            self.numbers += 1
            request = new(account_id=account, kind=kind, tier=tier, cost_ms=HOUR_MS, start_within=1e6)
            self.room.enter(transitions.accept(request, f"d{self.numbers}", NOW, AT_PEAK).job, self.moment())

    def pass_floor(self) -> None:
        """Let the one job of each line through that its bucket may be overdrawn by."""
        for job in self.tick({(KIND,): 0, (OTHER,): 0}):
            self.room.leave(transitions.cancel(job, "", NOW).job)

    def tick(self, idle: Idle, seconds: float = TICK_SECONDS) -> list[Job]:
        """Some ticks with the same idle workers: gives the jobs admitted, which are queued from then on."""
        admitted: list[Job] = []
        for _ in range(round(seconds / TICK_SECONDS)):
            self.at += TICK_SECONDS
            for job in self.room.admit(self.moment(), idle):
                self.queue(job)
                admitted.append(job)
        return admitted

    def queue(self, job: Job) -> None:
        """A job that was admitted is kept as such."""
        self.room.leave(job, for_good=False)
        self.room.enter(transitions.admit(job, NOW).job, self.moment(), again=True)

    def pick(self, *kinds: str) -> Job:
        """A worker takes a job."""
        job = self.room.pick(kinds or (KIND,), self.moment())
        assert job
        return job

    def moment(self) -> Moment:
        return Moment(NOW + self.at, self.at)


def test_what_nobody_wants_is_lent_although_the_peak_goes_on() -> None:
    """Ensures that as many deferred jobs are admitted as workers were idle for a while, and the next when one of them ends."""
    peak = Peak()
    peak.defer(20)
    peak.pass_floor()
    assert not peak.tick({(KIND,): 3}, LEND_AFTER_SECONDS - 1)
    assert len(peak.tick({(KIND,): 3}, 2)) == 3
    first, *_ = [peak.pick() for _ in range(3)]
    assert not peak.tick({(KIND,): 0}, 60)
    peak.room.release(first, None)
    assert len(peak.tick({(KIND,): 1}, SLOT_SECONDS)) == 1
    assert not peak.tick({(KIND,): 1}, 5)
    assert peak.room.peak.mode is PeakMode.DEFERRING


def test_what_others_took_meanwhile_is_not_lent() -> None:
    """Ensures that of four workers, of which paid jobs had three for a moment, one is lent, until that is long ago."""
    peak = Peak()
    for account in ("acct_1", "acct_2"):
        peak.defer(10, account)
    peak.pass_floor()
    peak.tick({(KIND,): 4}, LEND_AFTER_SECONDS - 2)
    peak.tick({(KIND,): 1}, 2 * SLOT_SECONDS)
    assert len(peak.tick({(KIND,): 4}, LEND_AFTER_SECONDS - 1)) == 1
    peak.pick()
    assert len(peak.tick({(KIND,): 3}, 2)) == 3


def test_a_moment_between_a_job_and_the_next_credit_is_overlooked() -> None:
    """Ensures that a single worker that asks for the next job a moment after the last has ended is lent without a pause."""
    peak = Peak()
    peak.defer(20)
    peak.pass_floor()
    assert peak.tick({(KIND,): 1}, LEND_AFTER_SECONDS + 1)
    for _ in range(10):
        job = peak.pick()
        peak.tick({(KIND,): 0}, 3 * SLOT_SECONDS)
        peak.room.release(job, None)
        peak.tick({(KIND,): 0})
        assert peak.tick({(KIND,): 1}, 2 * SLOT_SECONDS)


def test_nothing_is_lent_while_somebody_could_use_it() -> None:
    """Ensures that idle workers are for a job that is ready, of a paid tier or not, and of any kind that they take."""
    peak = Peak()
    peak.defer(5)
    peak.pass_floor()
    idle: Idle = {(KIND, OTHER): 2}
    peak.tick(idle, LEND_AFTER_SECONDS - 1)
    peak.room.enter(waiting("paid", tier="pro", kind=OTHER), peak.moment())
    assert not peak.tick(idle, 5)
    assert peak.pick(KIND, OTHER).job_id == "paid"
    assert len(peak.tick({(KIND, OTHER): 1})) == 1


def test_a_paused_tier_is_lent_nothing() -> None:
    """Ensures that its deferred jobs wait, and that a paused tier's ready jobs do not keep others from what is idle."""
    peak = Peak()
    peak.defer(5)
    peak.pass_floor()
    peak.room.enter(waiting("paid", tier="pro"), peak.moment())
    peak.room.kinds.pause(frozenset({"free", "pro"}))
    assert not peak.tick({(KIND,): 2}, 2 * LEND_AFTER_SECONDS)
    peak.room.kinds.pause(frozenset({"pro"}))
    assert len(peak.tick({(KIND,): 2})) == 2


def test_what_is_lent_is_lent_once() -> None:
    """Ensures that a job whose admission takes long to be kept counts, and that one which fails can be lent again."""
    peak = Peak()
    peak.defer(20)
    peak.pass_floor()
    peak.tick({(KIND,): 2}, LEND_AFTER_SECONDS - 1)
    idle: Idle = {(KIND,): 4}
    lent: list[Job] = []
    while not lent:
        peak.at += TICK_SECONDS
        lent = peak.room.admit(peak.moment(), idle)
    peak.at += 5
    assert not peak.room.admit(peak.moment(), idle)
    peak.room.enter(lent[0], peak.moment(), again=True)
    assert [job.job_id for job in peak.room.admit(peak.moment(), idle)] == [lent[0].job_id]
    peak.room.leave(lent[1])
    assert len(peak.room.admit(peak.moment(), idle)) == 1


def test_an_account_at_its_limit_is_not_lent_ever_more() -> None:
    """Ensures that no job that could not begin is lent anything, and that what is idle goes to accounts below their limit."""
    peak = Peak()
    peak.defer(50)
    peak.pass_floor()
    assert len(peak.tick({(KIND,): 5}, LEND_AFTER_SECONDS + 1)) == 3
    first, *_ = [peak.pick() for _ in range(3)]
    assert not peak.tick({(KIND,): 2}, 60)
    peak.defer(50, "acct_2")
    assert [job.account_id for job in peak.tick({(KIND,): 2})] == ["acct_2"] * 2
    for _ in range(2):
        peak.pick()
    peak.room.release(first, None)
    assert peak.tick({(KIND,): 1}, 1)


def test_kinds_take_turns_and_share_the_workers_they_have_in_common() -> None:
    """Ensures that a worker of two kinds is lent once, to either in turn, and that one of another kind is none of theirs."""
    peak = Peak()
    for kind in (KIND, OTHER, "sound"):
        peak.defer(10, account=kind, kind=kind)
    peak.tick({(KIND,): 0, (OTHER,): 0, ("sound",): 0})
    for _ in range(3):
        peak.room.release(peak.pick(KIND, OTHER, "sound"), None)
    idle: Idle = {(KIND, OTHER): 2, (OTHER, KIND): 2, ("sound",): 1}
    assert Counter(job.kind for job in peak.tick(idle, LEND_AFTER_SECONDS + 1)) == {KIND: 2, OTHER: 2, "sound": 1}
    next_: Counter[str] = Counter()
    for job in [peak.pick(KIND, OTHER) for _ in range(4)]:
        peak.room.release(job, None)
        next_.update(lent.kind for lent in peak.tick({(KIND, OTHER): 1, (OTHER, KIND): 0, ("sound",): 0}))
        peak.pick(KIND, OTHER)
    assert next_ == {KIND: 2, OTHER: 2}


def test_only_workers_that_take_jobs_are_idle() -> None:
    """Ensures that credits are counted by what workers take, and not where a worker drains or has hung up."""
    roster = Roster()
    for name, kinds, jobs in (("w1", [KIND], 2), ("w2", [KIND], 3), ("w3", [KIND, OTHER], 1), ("w4", [OTHER], 4)):
        worker = Worker(name, kinds)
        worker.grant(jobs)
        roster.join(worker)
    assert roster.idle() == {(KIND,): 5, (KIND, OTHER): 1, (OTHER,): 4}
    for name, end in (("w2", Worker.drain), ("w4", Worker.close)):
        worker_ = roster.get(name)
        assert worker_
        end(worker_)
    assert roster.idle() == {(KIND,): 2, (KIND, OTHER): 1, (OTHER,): 0}


def test_accounts_take_turns() -> None:
    """Ensures that what is lent goes to the accounts as fairly as the pace does."""
    peak = Peak()
    peak.defer(100, account="whale")
    for index in range(3):
        peak.defer(1, account=f"small-{index}")
    peak.pass_floor()
    lent = Counter(job.account_id for job in peak.tick({(KIND,): 5}, LEND_AFTER_SECONDS + 1))
    assert lent == {"whale": 2, "small-0": 1, "small-1": 1, "small-2": 1}


def test_without_workers_nothing_is_admitted_and_the_pace_stands_still() -> None:
    """Ensures that deferred jobs of a kind that nobody takes stay deferred, and are no flood once somebody does."""
    room = WaitingRoom(POLICY)
    for index in range(200):
        room.enter(transitions.accept(new(cost_ms=1000, start_within=1e6), f"d{index}", NOW, AT_PEAK).job, Moment(NOW, 0.0))
    for second in range(3600):
        assert not room.admit(Moment(NOW + second, second), {})
    assert room.peak.pace == 1.0
    admitted = [len(room.admit(Moment(NOW + second, second), {(KIND,): 0})) for second in range(3600, 3660)]
    assert sum(admitted) <= 3


LOOKS = st.lists(st.tuples(st.floats(0.01, 4.0), st.integers(0, 5)), min_size=1, max_size=60)


@given(LOOKS)
def test_the_least_of_a_while(looks: list[tuple[float, int]]) -> None:
    """Ensures that the window gives the least of the slots that lie in it, the one that it begins in among them."""
    spare = Spare()
    slots: dict[int, int] = {}
    at = 100.0
    for step, value in looks:
        at += step
        slot = int(at // SLOT_SECONDS)
        if not slots:
            slots[slot - 1] = 0
        found = spare.least(at, value)
        over = {each: most for each, most in slots.items() if each < slot}
        begin = max((each for each in over if each * SLOT_SECONDS <= at - LEND_AFTER_SECONDS), default=min(over))
        assert found == min(most for each, most in over.items() if each >= begin)
        slots[slot] = max(slots.get(slot, 0), value)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([], []),
        ([("a",), ("b",)], [{"a"}, {"b"}]),
        ([("a",), ("b",), ("a", "b")], [{"a", "b"}]),
        ([("a", "b"), ("c", "d"), ("e",), ("b", "c")], [{"e"}, {"a", "b", "c", "d"}]),
    ],
)
def test_pools(workers: list[tuple[str, ...]], expected: list[set[str]]) -> None:
    """Ensures that kinds are together exactly when a chain of workers joins them."""
    assert sorted(map(sorted, pools(workers))) == sorted(map(sorted, expected))
