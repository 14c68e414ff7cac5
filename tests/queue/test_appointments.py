"""Jobs that do not start before a moment, over the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.api.queue.v1 import job_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, queue_server, refusal, within
from tests.support.clock import ManualClock

DAY_SECONDS = 86_400


def at(clock: ManualClock, seconds: float) -> Timestamp:
    """A moment from now."""
    moment = Timestamp()
    moment.FromDatetime(datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=seconds))
    return moment


async def first_event(queue: Caller, job: job_pb2.Job) -> job_pb2.JobEvent:
    """What a watcher sees first."""
    watch = queue.watch(job.job_id)
    event: job_pb2.JobEvent = (await within(watch.read())).event
    watch.cancel()
    return event


async def test_a_job_waits_for_its_time(data: Path, authority: Authority) -> None:
    """Ensures that it is deferred with a reason and an ETA, that no worker gets it early, and one does at its time."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        worker = queue.worker()
        await worker.hello(credit=2)
        job = await queue.enqueue("r1", not_before=at(clock, 90))
        assert (job.state, job.not_before) == (job_pb2.JOB_STATE_DEFERRED, at(clock, 90))
        event = await first_event(queue, job)
        assert "2026-01-01 12:01:30 UTC" in event.deferred.reason
        assert event.deferred.eta.ToSeconds() == 90
        other = await queue.enqueue("r2")
        lease = await worker.lease()
        assert lease.ref.job_id == other.job_id
        assert (await worker.complete(lease)).accepted
        clock.advance(89)
        assert (await queue.get(job.job_id)).state == job_pb2.JOB_STATE_DEFERRED
        clock.advance(2)
        assert (await worker.lease()).ref.job_id == job.job_id


async def test_the_events_tell_of_the_wait(data: Path, authority: Authority) -> None:
    """Ensures that a watcher sees deferred, queued, started in this order and without a gap."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        job = await queue.enqueue("r1", not_before=at(clock, 5))
        worker = queue.worker()
        await worker.hello(credit=1)
        clock.advance(6)
        await worker.complete(await worker.lease())
        assert await queue.history(job.job_id) == ["deferred", "queued", "started", "succeeded"]


async def test_the_time_to_start_counts_from_the_not_before_time(data: Path, authority: Authority) -> None:
    """Ensures that a job does not expire before it may start, and does expire after its time from then."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        job = await queue.enqueue("r1", not_before=at(clock, 100), start_within={"seconds": 10})
        watch = queue.watch(job.job_id)
        assert (await within(watch.read())).event.HasField("deferred")
        clock.advance(101)
        while not (event := (await within(watch.read())).event).HasField("queued"):
            pass
        clock.advance(10)
        while not (event := (await within(watch.read())).event).HasField("expired"):
            pass
        assert "10 seconds" in event.expired.reason


async def test_a_restart_keeps_the_time(data: Path, authority: Authority) -> None:
    """Ensures that a job whose time has not come waits on after a restart, and that one whose time came meanwhile starts."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        soon = await queue.enqueue("r1", not_before=at(clock, 60))
        late = await queue.enqueue("r2", not_before=at(clock, 3600))
    clock.advance(120)
    async with queue_server(data, authority, clock) as queue:
        worker = queue.worker()
        await worker.hello(credit=2)
        lease = await worker.lease()
        assert lease.ref.job_id == soon.job_id
        assert (await worker.complete(lease)).accepted
        kept = await queue.get(late.job_id)
        assert (kept.state, kept.not_before) == (job_pb2.JOB_STATE_DEFERRED, late.not_before)
        clock.advance(3600)
        assert (await worker.lease()).ref.job_id == late.job_id


async def test_a_deferred_job_can_be_cancelled(data: Path, authority: Authority) -> None:
    """Ensures that its time then passes without anything."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        job = await queue.enqueue("r1", not_before=at(clock, 60))
        await queue.cancel(job.job_id)
        clock.advance(61)
        other = await queue.enqueue("r2")
        worker = queue.worker()
        await worker.hello(credit=2)
        assert (await worker.lease()).ref.job_id == other.job_id
        assert await queue.history(job.job_id) == ["deferred", "cancelled"]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(-3600, job_pb2.JOB_STATE_QUEUED), (0, job_pb2.JOB_STATE_QUEUED), (30 * DAY_SECONDS, job_pb2.JOB_STATE_DEFERRED)],
)
async def test_the_bounds_of_the_time(data: Path, authority: Authority, seconds: int, state: Any) -> None:
    """Ensures that a time that has passed means at once, and that thirty days are still accepted."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        assert (await queue.enqueue("r1", not_before=at(clock, seconds))).state == state


@pytest.mark.parametrize("moment", [{"seconds": 2**62}, {"seconds": 253_402_300_799, "nanos": 999_999_999}])
async def test_a_time_too_far_away_is_refused(data: Path, authority: Authority, moment: dict[str, int]) -> None:
    """Ensures that nonsense and more than thirty days are the caller's mistake."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        assert await refusal(queue.enqueue("r1", not_before=moment)) == "FIELD_INVALID"
        assert await refusal(queue.enqueue("r2", not_before=at(clock, 30 * DAY_SECONDS + 1))) == "FIELD_INVALID"
        assert (await queue.enqueue("r3", not_before={"seconds": -(2**62)})).state == job_pb2.JOB_STATE_QUEUED


async def test_another_time_is_another_request(data: Path, authority: Authority) -> None:
    """Ensures that a retry with the same time is the same job, also after that time, and that another time is refused."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        moment = at(clock, 60)
        job = await queue.enqueue("r1", not_before=moment)
        assert await refusal(queue.enqueue("r1")) == "REQUEST_ID_REUSED"
        clock.advance(120)
        assert (await queue.enqueue("r1", not_before=moment)).job_id == job.job_id
