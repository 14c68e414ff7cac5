"""The wall clock is set forward or back by an hour: nothing is lost, given up early, kept waiting or ended by it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.queue import transitions
from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Moment
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.runtime.tls import Authority
from tests.queue.operating import stats
from tests.queue.records import NOW, new
from tests.queue.test_appointments import at
from tests.queue.test_deferral import NONE_IDLE, POLICY, deferred, peak, states
from tests.queue.wire import Caller, Worker, queue_server, within
from tests.support.clock import ManualClock

STEPS = pytest.mark.parametrize("step", [3600, -3600])
RETRYABLE = job_pb2.FAILURE_CLASS_RETRYABLE


async def looked(queue: Caller, clock: ManualClock) -> None:
    """The queue has looked at the clock: a job whose time has just come knows of it."""
    probe = await queue.enqueue(f"at {clock.monotonic()}", not_before=at(clock, 0.02), kind="probe", tier="pro")
    clock.advance(0.1)
    await within(until(queue, probe.job_id, "queued"))
    await queue.cancel(probe.job_id)


@STEPS
async def test_a_step_of_the_clock_across_a_restart_loses_nothing(
    data: Path, authority: Authority, clock: ManualClock, step: int
) -> None:
    """Ensures that the worker keeps its lease, that waiting and finished jobs stay, and that events stay in sequence."""
    async with queue_server(data, authority, clock, drain_seconds=0.2) as queue:
        held, waiting, done = [await queue.enqueue(f"r{number}") for number in range(3)]
        await queue.cancel(done.job_id)
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        assert lease.ref.job_id == held.job_id
    clock.step(step)
    async with queue_server(data, authority, clock) as queue:
        worker = queue.worker()
        assert list((await worker.hello(lease.ref)).held) == [lease.ref]
        assert (await worker.complete(lease)).accepted
        assert await queue.history(held.job_id) == ["queued", "started", "succeeded"]
        assert (await queue.get(waiting.job_id)).state == job_pb2.JOB_STATE_QUEUED
        assert (await queue.get(done.job_id)).state == job_pb2.JOB_STATE_CANCELLED
        assert (await queue.enqueue("r1")).job_id == waiting.job_id


@STEPS
async def test_leases_live_and_end_by_the_steady_clock(data: Path, authority: Authority, clock: ManualClock, step: int) -> None:
    """Ensures that a worker that is away keeps its lease for the grace, however the clock is set, and no longer."""
    async with queue_server(data, authority, clock, grace_seconds=20.0, lease_seconds=30.0) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=1)
        lease = await worker.lease()
        await leave(queue, worker)
        clock.step(step)
        clock.advance(10)
        await looked(queue, clock)
        back = queue.worker()
        assert list((await back.hello(lease.ref)).held) == [lease.ref]
        clock.step(-step)
        clock.advance(29)
        await looked(queue, clock)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_RUNNING
        await leave(queue, back)
        clock.step(step)
        clock.advance(19)
        await looked(queue, clock)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_RUNNING
        clock.advance(1)
        other = queue.worker("w2")
        await other.hello(credit=1)
        assert (await other.lease()).job.attempt == 2


async def leave(queue: Caller, worker: Worker) -> None:
    """The worker's stream breaks, and the queue has noticed."""
    await worker.vanish()
    while (await stats(queue))[0].workers:
        pass


@STEPS
async def test_a_retry_waits_for_its_backoff_and_no_longer(
    data: Path, authority: Authority, clock: ManualClock, step: int
) -> None:
    """Ensures that the pause after a failure is one of time that passes."""
    async with queue_server(data, authority, clock, backoff_seconds=60.0, lease_seconds=600.0) as queue:
        job = await queue.enqueue()
        worker = queue.worker()
        await worker.hello(credit=2)
        assert (await worker.fail(await worker.lease(), RETRYABLE)).accepted
        clock.step(step)
        clock.advance(29)
        await looked(queue, clock)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_QUEUED
        clock.advance(32)
        assert (await worker.lease()).job.attempt == 2


@STEPS
async def test_a_job_has_the_time_to_start_that_it_was_given(
    data: Path, authority: Authority, clock: ManualClock, step: int
) -> None:
    """Ensures that a waiting job is neither given up because the clock was set forward nor kept because it was set back."""
    async with queue_server(data, authority, clock) as queue:
        jobs = [await queue.enqueue(f"r{number}", start_within={"seconds": 60}) for number in range(2)]
        clock.step(step)
        jobs.append(await queue.enqueue("r2", start_within={"seconds": 60}))
        clock.advance(50)
        await looked(queue, clock)
        assert [(await queue.get(job.job_id)).state for job in jobs] == [job_pb2.JOB_STATE_QUEUED] * 3
        await queue.cancel(jobs[0].job_id)
        clock.advance(11)
        for job in jobs[1:]:
            assert await within(queue.history(job.job_id)) == ["queued", "expired"]


@STEPS
async def test_an_appointment_is_one_of_the_wall_clock(data: Path, authority: Authority, clock: ManualClock, step: int) -> None:
    """Ensures that a job starts when the clock on the wall says so, and has its time to start from then."""
    async with queue_server(data, authority, clock) as queue:
        job = await queue.enqueue("r1", not_before=at(clock, 3590), start_within={"seconds": 60})
        clock.step(step)
        if step < 0:
            clock.advance(7180)
            await looked(queue, clock)
            assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_DEFERRED
            clock.advance(20)
        await within(until(queue, job.job_id, "queued"))
        clock.advance(40)
        await looked(queue, clock)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_QUEUED
        clock.advance(11)
        assert await within(queue.history(job.job_id)) == ["deferred", "queued", "expired"]


async def until(queue: Caller, job_id: str, name: str) -> None:
    """The job has come to an event."""
    async for response in queue.watch(job_id):
        if response.event.WhichOneof("event") == name:
            return


@STEPS
async def test_a_peak_and_its_deferred_jobs_do_not_notice(data: Path, authority: Authority, tmp_path: Path, step: int) -> None:
    """Ensures that deferred jobs stay so, are not given up, and are done in the end, and that the peak goes on and ends."""
    clock, policy = ManualClock(), tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    async with queue_server(data, authority, clock, tiers=policy, lease_seconds=600.0) as queue:
        worker = await peak(queue, clock)
        jobs = [await deferred(queue, f"free-{index}", start_within={"seconds": 900}) for index in range(3)]
        clock.step(step)
        await looked(queue, clock)
        ids = [job.job_id for job in jobs]
        assert (await states(queue, ids))[1:] == ["DEFERRED"] * 2
        found, _ = await stats(queue)
        assert found.peak_mode == queue_pb2.PEAK_MODE_DEFERRING
        assert (await queue.enqueue("another", tier="free")).state == job_pb2.JOB_STATE_DEFERRED
        await pass_time(queue, clock, 40)
        after = await states(queue, ids)
        assert after[0] == "QUEUED"
        assert set(after) <= {"QUEUED", "DEFERRED"}
        await worker.send(credit={"jobs": 4})
        await pass_time(queue, clock, 120)
        for lease in [await worker.lease() for _ in range(4)]:
            assert (await worker.complete(lease)).accepted
        assert await states(queue, ids) == ["SUCCEEDED"] * 3
        await within(calm(queue, clock))


async def calm(queue: Caller, clock: ManualClock) -> None:
    """Time passes without any job until the peak is over."""
    while (await stats(queue))[0].peak_mode != queue_pb2.PEAK_MODE_NORMAL:
        clock.advance(1)


async def pass_time(queue: Caller, clock: ManualClock, seconds: int) -> None:
    """Time passes bit by bit."""
    for _ in range(seconds // 2):
        clock.advance(2)
        await looked(queue, clock)


def room() -> WaitingRoom:
    """A waiting room with a tier that is never deferred and is to start within 5 s."""
    return WaitingRoom(Policy((Tier("free", 1, 0.1, deferrable=True), Tier("pro", 9, wait_max_seconds=60.0)), 5.0))


def paid(number: int, account_id: str, wall: float) -> Job:
    """A job of the paid tier, accepted at a moment of the wall clock."""
    accepted = transitions.accept(new(f"r{number}", account_id=account_id, tier="pro"), f"job_{number}", wall)
    return replace(accepted.job, number=number)


def served(into: WaitingRoom, moment: Moment, waited: float, wall: float, count: int = 30) -> PeakMode:
    """Paid jobs of as many accounts wait for so long, from a moment of the wall clock on, and start: gives the mode after."""
    first = int(moment.at * 1000)
    for number in range(first, first + count):
        into.enter(paid(number, f"a{number}", wall), Moment(wall, moment.at - waited))
    into.admit(Moment(moment.now - 0.1, moment.at - 0.1), NONE_IDLE)
    for _ in range(count):
        assert into.pick(["image.generate"], moment)
    into.admit(moment, NONE_IDLE)
    return into.peak.mode


@STEPS
def test_a_step_makes_no_peak_of_short_waits(step: int) -> None:
    """Ensures that jobs that wait while the clock is set do not look as if they had waited for an hour."""
    into = room()
    assert served(into, Moment(NOW + 10, 10.0), 1.0, NOW + 9) is PeakMode.NORMAL
    assert served(into, Moment(NOW + 20 + step, 20.0), 1.0, NOW + 19) is PeakMode.NORMAL
    assert served(into, Moment(NOW + 30 + step, 30.0), 1.0, NOW + 29 + step) is PeakMode.NORMAL


@STEPS
def test_a_step_hides_no_peak(step: int) -> None:
    """Ensures that long waits after the clock was set are seen as what they are."""
    into = room()
    assert served(into, Moment(NOW + 10, 10.0), 1.0, NOW + 9) is PeakMode.NORMAL
    served(into, Moment(NOW + 20 + step, 20.0), 1.0, NOW + 19)
    for second in range(100, 104):
        served(into, Moment(NOW + second + step, float(second)), 30.0, NOW + second - 30 + step)
    assert into.peak.mode is PeakMode.DEFERRING


@STEPS
def test_every_account_gets_its_turn_while_ages_are_wrong(step: int) -> None:
    """Ensures that accounts that wait at a step, and look aged or not old enough then, start in a fair order all the same."""
    into = room()
    small = [f"small{number}" for number in range(10)]
    for number in range(150):
        account = small[number % 10] if number < 50 else "whale"
        into.enter(paid(number, account, NOW + number / 10), Moment(NOW + number / 10, number / 10))

    def starts(count: int, moment: Moment) -> Counter[str]:
        picked = [into.pick(["image.generate"], moment) for _ in range(count)]
        return Counter(job.account_id for job in picked if job)

    starts(22, Moment(NOW + 20, 20.0))
    after = starts(33, Moment(NOW + 21 + step, 21.0))
    assert after.total() == 33
    assert all(2 <= after[account] <= 4 for account in [*small, "whale"]), after


@STEPS
async def test_a_job_handed_back_keeps_the_time_it_was_given(
    data: Path, authority: Authority, clock: ManualClock, step: int
) -> None:
    """Ensures that a job whose time came after a step has its time to start from then, when no worker keeps it either."""
    async with queue_server(data, authority, clock, lease_seconds=600.0) as queue:
        job = await queue.enqueue("r1", not_before=at(clock, 4000), start_within={"seconds": 60})
        clock.step(step)
        worker = queue.worker()
        await worker.hello(credit=1)
        clock.advance(4000 - step)
        lease = await worker.lease()
        clock.step(-step)
        clock.advance(20)
        await worker.send(hand_back={"lease": lease.ref})
        assert (await worker.settled()).accepted
        clock.advance(30)
        await looked(queue, clock)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_QUEUED
        clock.advance(11)
        assert (await within(queue.history(job.job_id)))[-1] == "expired"


@STEPS
def test_a_job_that_is_admitted_late_keeps_the_time_it_was_given(step: int) -> None:
    """Ensures that a job whose time came at a peak is given up after its time, and not by a clock that was set meanwhile."""
    into = room()
    begin = Moment(NOW, 0.0)
    early = transitions.accept(new("r1", not_before=NOW + 10, start_within=60.0), "job_1", NOW)
    into.enter(early.job, begin)
    (job,) = into.admit(Moment(NOW + 10, 10.0), NONE_IDLE)
    into.leave(job, for_good=False)
    into.enter(transitions.admit(job, NOW + 10).job, Moment(NOW + 20 + step, 20.0), again=True)
    assert into.expired(69.0) == []
    assert into.expired(71.0) == ["job_1"]
    into.leave(transitions.admit(job, NOW + 10).job)
    assert not into.steps._come, "a job that is gone is forgotten"


@STEPS
def test_ages_are_time_that_passes(step: int) -> None:
    """Ensures that a step makes no account too old, and that one with long work behind it ages as its tier promises."""
    into = room()
    heavy = paid(1, "heavy", NOW)
    into.enter(heavy, Moment(NOW, 0.0))
    assert into.pick(["image.generate"], Moment(NOW, 0.0))
    into.release(heavy, 10_000_000, for_good=True)
    into.enter(paid(2, "heavy", NOW), Moment(NOW, 0.0))
    for number in range(3, 203):
        into.enter(paid(number, "light", NOW), Moment(NOW, 0.0))
    started = []
    for second in range(1, 70):
        moment = Moment(NOW + second + (step if second >= 10 else 0), float(second))
        into.enter(paid(1000 + second, "light", moment.now), moment)
        job = into.pick(["image.generate"], moment)
        assert job
        started.append(job.account_id)
    assert started.index("heavy") == 59
    assert into.kinds.aged() == {"pro": 1, "free": 0}
