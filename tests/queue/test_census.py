"""The figures of the tiers: oldest waits, rates and shares of the last minute. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.census import STALE_MAX, Census, TierCount
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, Transition
from mezzotint.queue.kinds import Moment
from mezzotint.queue.minute import Minute
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from tests.queue.records import NOW, new
from tests.support.clock import ManualClock

BROKE = Failure(FailureClass.RETRYABLE, "JOB_FAILED", "it broke")


class Book:
    """A census that is told of every change, after a waiting room."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.jobs: dict[str, Job] = {}
        self.numbers = 0
        self.room = WaitingRoom(Policy([Tier("free"), Tier("pro")]))
        self.census = Census(["free", "pro"], self.clock, self.jobs.get, self.room.steps.waits_since)

    def tell(self, change: Transition) -> Job:
        """A change was kept."""
        job = change.job
        if job.state.final:
            self.jobs.pop(job.job_id, None)
        else:
            self.jobs[job.job_id] = job
        if job.state <= JobState.DEFERRED:
            moment = Moment(self.clock.now(), self.clock.monotonic())
            self.room.enter(job, moment, again=change.before is not None)
        self.census.observe([change])
        return job

    def accept(self, job_id: str, **fields: object) -> Job:
        """A new job."""
        self.numbers += 1
        change = transitions.accept(new(job_id, **fields), job_id, self.clock.now())
        return self.tell(Transition(None, replace(change.job, number=self.numbers), change.event))

    def start(self, job: Job) -> Job:
        """A worker begins."""
        return self.tell(transitions.start(job, "w1", self.clock.now()))

    def of(self, tier: str = "free") -> TierCount:
        """A tier's figures."""
        return next(each for each in self.census.tiers() if each.tier == tier)


def test_the_oldest_wait_is_that_of_the_oldest_queued_job() -> None:
    """Ensures that it grows with time, moves on when the job starts or ends, and is nothing without one."""
    book = Book()
    assert book.of().oldest_wait == 0
    first = book.accept("job_1")
    book.clock.advance(5)
    second = book.accept("job_2")
    book.clock.advance(5)
    assert book.of().oldest_wait == 10
    first = book.start(first)
    assert book.of().oldest_wait == 5
    book.tell(transitions.cancel(second, "", book.clock.now()))
    assert book.of().oldest_wait == 0


def test_a_job_that_waits_again_counts_from_its_attempt() -> None:
    """Ensures that a retry waits anew, and that a job that was handed back is as old as it was."""
    book = Book()
    first, second = book.start(book.accept("job_1")), book.start(book.accept("job_2"))
    book.clock.advance(100)
    book.accept("job_3")
    book.tell(transitions.fail(first, "w1", 1, BROKE, book.clock.now(), 0.0))
    book.clock.advance(10)
    assert book.of().oldest_wait == 10
    book.tell(transitions.hand_back(second, "w1", 1, book.clock.now()))
    assert book.of().oldest_wait == 110


def test_a_deferred_job_counts_from_its_time() -> None:
    """Ensures that waiting on purpose is no wait."""
    book = Book()
    job = book.accept("job_1", not_before=NOW + 60)
    book.clock.advance(60)
    assert (book.of().deferred, book.of().oldest_wait) == (1, 0)
    book.tell(transitions.admit(job, book.clock.now()))
    book.clock.advance(3)
    assert (book.of().deferred, book.of().queued, book.of().oldest_wait) == (0, 1, 3)


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_step_of_the_wall_clock_is_no_wait(step: int) -> None:
    """Ensures that new jobs, due ones, retries and those handed back after them wait for as long as time has passed."""
    book = Book()
    book.accept("job_1")
    book.accept("job_2", not_before=NOW + 10, tier="pro")
    book.clock.advance(20)
    book.clock.step(step)
    assert book.of().oldest_wait == 20
    book.clock.advance(10)
    book.accept("job_3")
    assert book.of().oldest_wait == 30
    other = Book()
    job = other.tell(transitions.fail(other.start(other.accept("job_1")), "w1", 1, BROKE, other.clock.now(), 0.0))
    other.clock.advance(5)
    other.clock.step(step)
    assert other.of().oldest_wait == 5
    other.clock.advance(5)
    other.tell(transitions.hand_back(other.start(job), "w1", 2, other.clock.now()))
    other.clock.advance(7)
    assert other.of().oldest_wait == 7


def test_memory_follows_the_jobs_that_wait() -> None:
    """Ensures that a job that waits for ever does not keep the millions that pass it in memory."""
    book = Book()
    book.accept("job_old")
    for number in range(1000):
        job = book.start(book.accept(f"job_{number}"))
        book.tell(transitions.succeed(job, "w1", 1, b"", book.clock.now()))
    assert len(book.census._queued["free"]) <= STALE_MAX + 4
    book.clock.advance(7)
    assert book.of().oldest_wait == 7


def test_rates_and_shares_are_of_the_last_minute() -> None:
    """Ensures that starts and granted work count for a minute and no longer."""
    book = Book()
    book.clock.advance(60)
    for number in range(30):
        book.start(book.accept(f"job_{number}", cost_ms=100))
    book.start(book.accept("job_pro", tier="pro", cost_ms=1000))
    assert (book.of().starts_per_second, book.of().share) == (0.5, 0.75)
    assert book.of("pro").share == 0.25
    book.clock.advance(59)
    assert book.of().starts_per_second == 0.5
    book.clock.advance(1)
    assert (book.of().starts_per_second, book.of().share, book.of("pro").share) == (0, 0, 0)


def test_a_tier_that_the_policy_drops_is_shown_while_it_has_jobs() -> None:
    """Ensures that nothing that waits is hidden, and that what is gone is."""
    book = Book()
    job = book.accept("job_1")
    book.census.know(["pro", "gold"])
    assert [each.tier for each in book.census.tiers()] == ["pro", "gold", "free"]
    book.tell(transitions.cancel(job, "", book.clock.now()))
    book.census.know(["pro", "gold"])
    assert [each.tier for each in book.census.tiers()] == ["pro", "gold"]


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 100)), max_size=60))
def test_a_minutes_sum_is_what_was_added_in_it(steps: list[tuple[float, int]]) -> None:
    """Ensures that amounts are forgotten a minute after their second, whatever the gaps."""
    clock = ManualClock()
    minute, added = Minute(clock), []
    for gap, amount in steps:
        clock.advance(gap)
        minute.add("x", amount)
        added.append((int(clock.monotonic()), amount))
        assert minute.totals()["x"] == sum(each for at, each in added if at > int(clock.monotonic()) - 60)
