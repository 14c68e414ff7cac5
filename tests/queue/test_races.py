"""Things that happen while a change is on its way to the disk, with an engine that keeps changes back until told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.job import JobEvent, JobState, Transition
from mezzotint.queue.kinds import Moment
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.work_stream import Floor, WorkStream
from tests.queue.inside import floor, start
from tests.queue.records import NOW, new, waiting
from tests.queue.wire import completing
from tests.support.clock import ManualClock


class SlowEngine(MemoryEngine):
    """Keeps each change, or read of events, of the jobs in `slow` back until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: set[str] = set()
        self.go = asyncio.Event()

    async def commit(self, change: Transition) -> None:
        if change.job.job_id in self.slow:
            await self.go.wait()
        await super().commit(change)

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        if job_id in self.slow:
            await self.go.wait()
        return await super().events(job_id, after)


class Talk:
    """A worker's stream without a network."""

    def __init__(self, inside: Floor) -> None:
        self.requests: asyncio.Queue[work_pb2.WorkRequest] = asyncio.Queue()
        self.responses = WorkStream(inside, self._each()).run()

    async def hello(self, credit: int) -> None:
        """Begin."""
        self.say(hello=work_pb2.Hello(worker_id="w1", kinds=["image.generate"]))
        assert (await self.hear()).HasField("welcome")
        self.say(credit=work_pb2.Credit(jobs=credit))
        await settled()

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.requests.put_nowait(work_pb2.WorkRequest(**message))

    async def hear(self) -> work_pb2.WorkResponse:
        """The next message."""
        return await asyncio.wait_for(anext(self.responses), 5)

    async def _each(self) -> AsyncIterator[work_pb2.WorkRequest]:
        while True:
            yield await self.requests.get()


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(60):
        await asyncio.sleep(0)


@asynccontextmanager
async def slow_queue(clock: ManualClock) -> AsyncIterator[tuple[Floor, SlowEngine]]:
    """The inside of a queue over a slow engine."""
    background, engine = Background(), SlowEngine()
    yield floor(clock, background, engine), engine
    await background.close()


async def test_a_job_cancelled_while_its_batch_is_being_leased_does_not_go_out(clock: ManualClock) -> None:
    """Ensures that a worker is not given a job that has ended, and keeps the credit for another."""
    async with slow_queue(clock) as (inside, engine):
        talk = Talk(inside)
        first, second = [(await inside.intake.enqueue(new(f"r{index}"))).job for index in range(2)]
        engine.slow.add(second.job_id)
        await talk.hello(credit=2)
        await inside.ledger.change(first.job_id, lambda job: transitions.cancel(job, "", NOW))
        engine.go.set()
        heard = [await talk.hear(), await talk.hear()]
        leased = [lease.ref.job_id for message in heard for lease in message.leases.leases]
        assert leased == [second.job_id]
        third = (await inside.intake.enqueue(new("r3"))).job
        assert [lease.ref.job_id for lease in (await talk.hear()).leases.leases] == [third.job_id]


async def test_a_job_whose_worker_left_while_it_was_being_leased_is_free_again(clock: ManualClock) -> None:
    """Ensures that a lease that never went out costs no attempt and no grace."""
    async with slow_queue(clock) as (inside, engine):
        job = (await inside.intake.enqueue(new())).job
        engine.slow.add(job.job_id)
        talk = Talk(inside)
        await talk.hello(credit=1)
        await talk.responses.aclose()
        engine.go.set()
        await settled()
        found = inside.ledger.hot(job.job_id)
        assert found
        assert (found.state, found.attempt, found.token) == (JobState.QUEUED, 0, 1)


async def test_a_job_cancelled_before_its_lease_is_kept_gives_the_credit_back(clock: ManualClock) -> None:
    """Ensures that of a start and a cancellation in the same moment the earlier wins, and that the worker goes on."""
    async with slow_queue(clock) as (inside, engine):
        job = (await inside.intake.enqueue(new())).job
        engine.slow.add(job.job_id)
        cancelling = asyncio.ensure_future(inside.ledger.change(job.job_id, lambda found: transitions.cancel(found, "", NOW)))
        await settled()
        talk = Talk(inside)
        await talk.hello(credit=1)
        engine.go.set()
        assert (await cancelling).state is JobState.CANCELLED
        await settled()
        other = (await inside.intake.enqueue(new("r2"))).job
        assert [lease.ref.job_id for lease in (await talk.hear()).leases.leases] == [other.job_id]


async def test_heartbeats_leave_a_result_alone_that_is_being_kept(clock: ManualClock) -> None:
    """Ensures that a job is neither lost nor withdrawn between Complete and Settled, whatever heartbeats say of it."""
    async with slow_queue(clock) as (inside, engine):
        await inside.intake.enqueue(new())
        talk = Talk(inside)
        await talk.hello(credit=1)
        lease = (await talk.hear()).leases.leases[0]
        engine.slow.add(lease.ref.job_id)
        talk.say(completions=completing(work_pb2.Complete(lease=lease.ref, result=b"picture")))
        talk.say(heartbeat=work_pb2.Heartbeat(held=[lease.ref]))
        talk.say(heartbeat=work_pb2.Heartbeat())
        await settled()
        engine.go.set()
        assert (await talk.hear()).settled.settlements[0].accepted
        await settled()
        assert (await inside.ledger.get(lease.ref.job_id))[0].state is JobState.SUCCEEDED


async def test_an_event_that_comes_while_the_earlier_ones_are_read_is_seen_once(clock: ManualClock) -> None:
    """Ensures that there is neither a gap nor a repetition between stored and live events."""
    async with slow_queue(clock) as (inside, engine):
        job = (await inside.intake.enqueue(new())).job
        inside.ledger.jobs.listeners[:] = [inside.hub.observe]  # no dispatcher: the test itself hands the job out
        watch = inside.hub.watch(job.job_id, "", 0)
        engine.slow.add(job.job_id)
        first = asyncio.ensure_future(anext(watch))
        await settled()
        engine.slow.clear()
        await start(inside.ledger, job.job_id, lambda found: transitions.start(found, "w1", NOW))
        engine.go.set()
        seen = [await first, await anext(watch)]
        last = asyncio.ensure_future(anext(watch))
        await settled()
        await inside.ledger.change(job.job_id, lambda found: transitions.cancel(found, "", NOW))
        assert [sight.sequence for sight in [*seen, await last]] == [1, 2, 3]


def test_a_picked_job_cannot_expire_any_more() -> None:
    """Ensures that the room forgets the deadline of a job with its pick, and takes it up again if it comes back."""
    room = WaitingRoom(Policy([Tier("free")]))
    job = waiting()
    room.enter(job, Moment(NOW, 0))
    assert room.pick(["image.generate"], Moment(NOW, 0)) == job
    assert room.expired(NOW + 1000) == []
    room.release(job, 0)
    room.enter(job, Moment(NOW, 0), again=True)
    assert room.expired(NOW + 1000) == [job.job_id]
