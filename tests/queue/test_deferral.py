"""Deferral, aging and policy over the wire: what a peak does to jobs, and that they survive it and a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.deferral import AFTER_PEAK, AT_PEAK
from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Moment
from mezzotint.queue.lending import Idle
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.runtime.errors import StartRefused
from mezzotint.runtime.tls import Authority
from tests.queue.records import NOW, new
from tests.queue.wire import Caller, Worker, queue_server, refusal, within
from tests.support.clock import ManualClock

POLICY = """
peak: {wait_objective_seconds: 5}
tiers:
  - {name: free, weight: 1, share_min: 0.1, deferrable: true}
  - {name: pro, weight: 9}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy file with a tier that is deferred and one that is not."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


async def peak(caller: Caller, clock: ManualClock) -> Worker:
    """Make the paid tier wait for long, so that a peak begins: gives a worker without credit that has done its jobs."""
    worker = caller.worker()
    await worker.hello()
    for index in range(8):
        await caller.enqueue(f"paid-{index}", tier="pro")
    clock.advance(30)
    await worker.send(credit={"jobs": 8})
    for _ in range(8):
        await worker.complete(await worker.lease())
    return worker


async def first(caller: Caller, job_id: str, kind: str) -> Any:
    """The first event of this kind that a watcher sees."""
    async for response in caller.watch(job_id):
        if response.event.WhichOneof("event") == kind:
            return response.event
    raise AssertionError(f"the job ended without {kind}")


async def deferred(caller: Caller, request_id: str, **fields: Any) -> job_pb2.Job:
    """Enqueue free jobs until one is deferred: the controller looks at the waits every tick."""
    for attempt in range(200):
        job = await caller.enqueue(f"{request_id}-{attempt}", tier="free", **fields)
        if job.state == job_pb2.JOB_STATE_DEFERRED:
            return job
        await caller.cancel(job.job_id)
    raise AssertionError("no job was deferred")


async def tick(caller: Caller, clock: ManualClock, seconds: int) -> None:
    """Let time pass, and wait until the queue has looked at the clock and kept what follows from it."""
    late = await caller.enqueue(f"late-{clock.now()}", tier="pro", kind="image.none", start_within={"seconds": seconds - 1})
    clock.advance(seconds)
    assert (await within(caller.history(late.job_id)))[-1] == "expired"


async def states(caller: Caller, job_ids: list[str]) -> list[str]:
    """The states of jobs."""
    return [job_pb2.JobState.Name((await caller.get(job_id)).state).removeprefix("JOB_STATE_") for job_id in job_ids]


async def test_a_job_deferred_at_a_peak_is_told_so_and_done(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that at a peak a free job is deferred with a reason and a paid one is not, and that both are done in the end."""
    clock = ManualClock()
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        worker = await peak(caller, clock)
        job = await deferred(caller, "free", account_id="acct_a")
        told = await within(first(caller, job.job_id, "deferred"))
        assert told.sequence == 1
        assert told.deferred.reason in (AT_PEAK, AFTER_PEAK)
        assert (await caller.enqueue("paid", tier="pro")).state == job_pb2.JOB_STATE_QUEUED
        await worker.send(credit={"jobs": 2})
        leases = [await worker.lease(), await worker.lease()]
        assert {lease.job.tier for lease in leases} == {"free", "pro"}
        for lease in leases:
            await worker.complete(lease)
        assert await within(caller.history(job.job_id)) == ["deferred", "queued", "started", "succeeded"]


async def test_deferred_jobs_survive_a_restart(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that they are deferred still after it, and are admitted and done although the peak is forgotten."""
    clock, ids = ManualClock(), []
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        await peak(caller, clock)
        ids += [(await deferred(caller, f"free-{index}", cost_ms=60_000)).job_id for index in range(3)]
        states = [(await caller.get(job_id)).state for job_id in ids]
        assert states.count(job_pb2.JOB_STATE_DEFERRED) >= 2
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        states = [(await caller.get(job_id)).state for job_id in ids]
        assert job_pb2.JOB_STATE_DEFERRED in states
        later = await caller.enqueue("later", tier="free")
        assert later.state == job_pb2.JOB_STATE_DEFERRED
        worker = caller.worker("w2")
        for round_ in range(4):
            # One at a time: a lease that the worker already held would not outlive the hour.
            clock.advance(3600)
            await (worker.send(credit=work_pb2.Credit(jobs=1)) if round_ else worker.hello(credit=1))
            await worker.complete(await worker.lease())
        for job_id in [*ids, later.job_id]:
            assert (await within(caller.history(job_id)))[-1] == "succeeded"


async def test_what_is_idle_at_a_peak_is_lent_to_deferred_jobs(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that workers that nobody else has wanted for a while do deferred jobs although the peak goes on."""
    clock = ManualClock()
    async with queue_server(data, authority, clock, tiers=policy, lease_seconds=60) as caller:
        worker = await peak(caller, clock)
        ids = [(await deferred(caller, f"free-{index}", cost_ms=86_400_000)).job_id for index in range(4)]
        await tick(caller, clock, 2)
        assert (await states(caller, ids))[1:] == ["DEFERRED"] * 3
        await worker.send(credit={"jobs": 3})
        assert (await worker.lease()).ref.job_id == ids[0]
        await tick(caller, clock, 2)
        assert (await states(caller, ids))[1:] == ["DEFERRED"] * 3
        await tick(caller, clock, 10)
        assert [(await worker.lease()).ref.job_id for _ in range(2)] == ids[1:3]
        assert await states(caller, ids[3:]) == ["DEFERRED"]
        stats = await within(caller.stats(1).read())
        assert stats.peak_mode == queue_pb2.PEAK_MODE_DEFERRING


async def test_no_flood_follows_a_restart(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that nothing is admitted before workers are back, then at the pace that is kept for the tier, and no faster."""
    clock = ManualClock()
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        await peak(caller, clock)
        ids = [(await deferred(caller, f"free-{index}")).job_id for index in range(20)][1:]
        assert await states(caller, ids) == ["DEFERRED"] * 19
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        await tick(caller, clock, 3600)
        assert await states(caller, ids) == ["DEFERRED"] * 19
        await caller.worker().hello()
        for _ in range(20):
            await tick(caller, clock, 2)
        # A tenth of one device for 40 s is 4 s of work, and more as the pace grows: it doubles in 30 s. A job may be under way.
        assert 4 <= (await states(caller, ids)).count("QUEUED") <= 8


async def test_a_deferred_job_can_be_cancelled_and_expires(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that deferral takes neither away from whoever asked."""
    clock = ManualClock()
    async with queue_server(data, authority, clock, tiers=policy) as caller:
        await peak(caller, clock)
        await deferred(caller, "first", cost_ms=86_400_000)
        cancelled = await deferred(caller, "cancelled")
        late = await deferred(caller, "late", start_within={"seconds": 20})
        await caller.cancel(cancelled.job_id)
        clock.advance(22)
        assert await within(caller.history(cancelled.job_id)) == ["deferred", "cancelled"]
        assert await within(caller.history(late.job_id)) == ["deferred", "expired"]


async def test_a_changed_policy_file_is_in_force_without_a_restart(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that a new tier is accepted soon after the file names it, and that a broken file takes nothing away."""
    async with queue_server(data, authority, tiers=policy) as caller:
        assert await refusal(caller.enqueue("r1", tier="gold")) == "TIER_UNKNOWN"
        rewrite(policy, POLICY + "  - {name: gold}\n")

        async def accepted_in_time() -> None:
            while True:
                try:
                    await caller.enqueue("r2", tier="gold")
                except Exception:  # noqa: BLE001  # refused until the file has been looked at
                    continue
                return

        await within(accepted_in_time())
        rewrite(policy, "tiers: 7")
        assert (await caller.enqueue("r3", tier="gold")).tier == "gold"


def rewrite(path: Path, content: str) -> None:
    """Put another file in its place at once, as deployments do."""
    path.with_suffix(".new").write_text(content)
    path.with_suffix(".new").replace(path)


async def test_a_bad_policy_file_stops_the_start(data: Path, authority: Authority, policy: Path) -> None:
    """Ensures that a mistake is found before anything is served, with its line."""
    rewrite(policy, POLICY.replace("weight: 9", "weight: nine"))
    with pytest.raises(StartRefused, match=r"policy\.yaml:5: 'nine': write a number"):
        async with queue_server(data, authority, tiers=policy):
            pass


# Workers that take jobs of the usual kind, and have no credits left.
NONE_IDLE: Idle = {("image.generate",): 0}


def room() -> WaitingRoom:
    """A waiting room under POLICY."""
    return WaitingRoom(Policy((Tier("free", 1, 0.1, deferrable=True), Tier("pro", 9)), 5.0))


def test_after_a_peak_newcomers_do_not_overtake_deferred_jobs() -> None:
    """Ensures that while deferred jobs wait, new ones of their tier and kind are deferred too, and those of others are not."""
    into = room()
    job = transitions.accept(new("d"), "d", NOW, AT_PEAK).job
    into.enter(job, Moment(NOW, 0.0))
    assert into.peak.mode is PeakMode.NORMAL
    assert into.defers("free", "image.generate") == AFTER_PEAK
    assert into.defers("free", "image.edit") == ""
    assert into.defers("pro", "image.generate") == ""
    assert into.admit(Moment(NOW, 1.0), NONE_IDLE) == [job]
    assert into.defers("free", "image.generate") == ""


def paid_work(into: WaitingRoom, begin: float, seconds: int, workers: int) -> PeakMode:
    """So many workers do paid jobs, of 10 s each, as far as there are any; gives the mode after."""
    running: list[tuple[float, Job]] = []
    for step in range(seconds * 4):
        moment = Moment(NOW + begin + step / 4, begin + step / 4)
        for end, job in list(running):
            if end <= moment.at:
                running.remove((end, job))
                into.release(job, None, moment.at, for_good=True)
        while len(running) < workers and (picked := into.pick(["image.generate"], moment)):
            running.append((moment.at + 10, picked))
        into.admit(moment, {("image.generate",): workers - len(running)})
    return into.peak.mode


def enter_paid(into: WaitingRoom, account: str, jobs: int) -> None:
    """An account of the paid tier has jobs that wait."""
    for number in range(jobs):
        request = new(f"{account}-{number}", account_id=account, tier="pro", start_within=1e6)
        into.enter(transitions.accept(request, f"{account}-{number}", NOW).job, Moment(NOW, 0.0))


def test_an_account_at_its_own_limit_makes_no_peak() -> None:
    """Ensures that what it waits for its own jobs defers nobody, and that other waits of such a tier do."""
    pro = Tier("pro", 9, account_running_max=2)
    calm = WaitingRoom(Policy((Tier("free", 1, 0.1, deferrable=True), pro), 5.0))
    enter_paid(calm, "whale", 60)
    assert paid_work(calm, 0.0, 60, workers=10) is PeakMode.NORMAL
    busy = WaitingRoom(Policy((Tier("free", 1, 0.1, deferrable=True), pro), 5.0))
    for account in range(30):
        enter_paid(busy, f"a{account}", 2)
    assert paid_work(busy, 0.0, 60, workers=10) is PeakMode.DEFERRING


def test_a_pause_makes_no_peak() -> None:
    """Ensures that what jobs waited for an operator defers nobody once their tier goes on."""
    into = room()
    enter_paid(into, "a", 10)
    into.kinds.pause(frozenset({"pro"}))
    paid_work(into, 0.0, 60, workers=20)
    into.kinds.pause(frozenset())
    assert paid_work(into, 60.0, 1, workers=20) is PeakMode.NORMAL
    assert into.peak.p95 is not None


def test_a_job_that_nobody_takes_keeps_no_peak_going() -> None:
    """Ensures that a paid job of a kind without workers does not hold a peak that is over otherwise."""
    into = room()
    for account in range(30):
        enter_paid(into, f"a{account}", 2)
    assert paid_work(into, 0.0, 60, workers=10) is PeakMode.DEFERRING
    stray = transitions.accept(new("stray", tier="pro", kind="image.none", start_within=1e6), "stray", NOW).job
    into.enter(stray, Moment(NOW + 60, 60.0))
    assert paid_work(into, 60.0, 300, workers=10) is PeakMode.NORMAL
