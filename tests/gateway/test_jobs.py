"""Watching a job while its streams break: a script stands in for the connection here, the real queue in test_outages.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.gateway import jobs
from mezzotint.gateway.jobs import Jobs
from mezzotint.runtime.errors import DependencyUnavailable, JobNotFound, MezzotintError
from tests.support.clock import ManualClock

BROKEN = DependencyUnavailable("queue does not answer")


def event(sequence: int, kind: str) -> job_pb2.JobEvent:
    made = job_pb2.JobEvent(sequence=sequence)
    getattr(made, kind).SetInParent()
    return made


class Script:
    """Plays one list of events or errors a stream, and writes down from where each stream was asked for."""

    def __init__(self, clock: ManualClock, *streams: list[job_pb2.JobEvent | MezzotintError], seconds: float = 1.0) -> None:
        self.asked: list[int] = []
        self._clock = clock
        self._streams = iter(streams)
        self._seconds = seconds

    async def stream(self, method: Any, request: queue_pb2.WatchJobRequest) -> AsyncGenerator[queue_pb2.WatchJobResponse, None]:
        self.asked.append(request.after_sequence)
        self._clock.advance(self._seconds)
        for step in next(self._streams, [BROKEN]):
            if isinstance(step, MezzotintError):
                raise step
            yield queue_pb2.WatchJobResponse(event=step)


async def watched(clock: ManualClock, script: Script, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sequences a watcher hears."""
    monkeypatch.setattr(jobs, "BACKOFF_SECONDS_MIN", 0.0)
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        watcher = Jobs(channel, clock)
        monkeypatch.setattr(watcher, "_peer", script)
        return [each.sequence async for each in watcher.watch("job_1", "acc_1")]


async def test_each_stream_begins_where_the_last_one_broke(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that nothing is heard twice or missed, whether a stream breaks or only ends, and that the final event ends it."""
    script = Script(
        clock,
        [event(1, "queued"), BROKEN],
        [BROKEN],
        [event(2, "started"), event(2, "progress")],
        [event(3, "succeeded"), event(4, "queued")],
    )
    assert await watched(clock, script, monkeypatch) == [1, 2, 2, 3]
    assert script.asked == [0, 1, 1, 2]


async def test_a_queue_that_stays_away_is_given_up(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that a caller is not kept waiting for a queue that does not come back, and is while it may."""
    script = Script(clock, [event(1, "queued"), BROKEN], seconds=20.0)
    with pytest.raises(DependencyUnavailable):
        await watched(clock, script, monkeypatch)
    assert len(script.asked) == 5


async def test_a_job_that_is_not_there_is_no_outage(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that an answer of the queue's is not asked for again."""
    script = Script(clock, [JobNotFound("no such job")])
    with pytest.raises(JobNotFound):
        await watched(clock, script, monkeypatch)
    assert script.asked == [0]
