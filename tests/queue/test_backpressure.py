"""Those who do not read what the queue says: workers and watchers."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.job import Job, JobState
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.watching import PICTURES_MAX, Progress, Sight
from mezzotint.queue.work_stream import ENDS_MAX, WorkStream
from mezzotint.queue.worker import OUTBOX_MAX
from tests.queue.inside import floor, start
from tests.queue.records import NOW, new
from tests.queue.wire import completing
from tests.support.clock import ManualClock

MESSAGES = 20_000


async def test_a_worker_that_never_reads_is_held_in_bounds(clock: ManualClock) -> None:
    """Ensures that nothing more is read from it once its answers pile up, and that it gets no job then."""
    background, taken = Background(), 0

    async def requests() -> AsyncIterator[work_pb2.WorkRequest]:
        nonlocal taken
        yield work_pb2.WorkRequest(hello=work_pb2.Hello(worker_id="deaf", kinds=["image.generate"]))
        yield work_pb2.WorkRequest(credit=work_pb2.Credit(jobs=5))
        for taken in range(1, MESSAGES):
            unknown = work_pb2.LeaseRef(job_id=f"job_{taken}", fencing_token=1)
            yield work_pb2.WorkRequest(completions=completing(work_pb2.Complete(lease=unknown)))

    inside = floor(clock, background)
    responses = WorkStream(inside, requests()).run()
    assert (await anext(responses)).WhichOneof("message") == "welcome"
    before = -1
    while taken != before:
        before = taken
        for _ in range(50):
            await asyncio.sleep(0)
    assert OUTBOX_MAX <= taken < 2 * OUTBOX_MAX
    job = (await inside.intake.enqueue(new())).job
    for _ in range(50):
        await asyncio.sleep(0)
    assert inside.ledger.hot(job.job_id) == job
    await responses.aclose()
    await background.close()


class StuckEngine(MemoryEngine):
    """Finds no job until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def find(self, job_id: str) -> tuple[Job, bytes]:
        await self.go.wait()
        return await super().find(job_id)


async def test_a_worker_that_says_the_same_again_and_again_is_held_in_bounds(clock: ManualClock) -> None:
    """Ensures that each end that is not answered yet counts, also of the same lease, and that all are answered at last."""
    background, engine, taken = Background(), StuckEngine(), 0

    async def requests() -> AsyncIterator[work_pb2.WorkRequest]:
        nonlocal taken
        yield work_pb2.WorkRequest(hello=work_pb2.Hello(worker_id="w1", kinds=["image.generate"]))
        unknown = work_pb2.LeaseRef(job_id="job_unknown", fencing_token=1)
        while taken < 3 * ENDS_MAX:
            taken += 1
            yield work_pb2.WorkRequest(completions=completing(work_pb2.Complete(lease=unknown)))

    responses = WorkStream(floor(clock, background, engine), requests()).run()
    assert (await anext(responses)).WhichOneof("message") == "welcome"
    before = -1
    while taken != before:
        before = taken
        for _ in range(50):
            await asyncio.sleep(0)
    assert taken == ENDS_MAX + 1
    engine.go.set()
    assert sum([len(response.settled.settlements) async for response in responses]) == 3 * ENDS_MAX
    await background.close()


async def test_a_slow_watcher_gets_the_latest_progress_and_every_event(clock: ManualClock) -> None:
    """Ensures that what waits for a watcher is bounded, that events are never missing, and that old progress is left out."""
    background = Background()
    inside = floor(clock, background)
    ledger, hub = inside.ledger, inside.hub
    ledger.jobs.listeners[:] = [hub.observe]  # no dispatcher: the test itself hands the job out
    job = (await inside.intake.enqueue(new(attempts_max=10))).job
    watch = hub.watch(job.job_id, "", 0)
    assert (await anext(watch)).sequence == 1
    for round_ in range(30):
        job, _ = await start(ledger, job.job_id, lambda found: transitions.start(found, "w1", NOW))
        for image in range(40):
            for step in range(3):
                hub.report(job, Progress(job.attempt, step, 3, b"preview", round_ * 40 + image))
        if round_ < 29:
            job = await ledger.change(job.job_id, partial(transitions.hand_back, worker_id="w1", token=job.token, now=NOW))
    events: list[Sight] = []
    progress: list[Sight] = []
    for _ in range(2 * 29 + 1 + PICTURES_MAX):
        sight = await anext(watch)
        (events if sight.event else progress).append(sight)
    assert [sight.sequence for sight in events] == list(range(2, 61))
    assert {(sight.sequence, sight.progress.step) for sight in progress if sight.progress} == {(60, 2)}
    await ledger.change(job.job_id, lambda found: transitions.cancel(found, "", NOW))
    last = [sight async for sight in watch]
    assert [sight.event.state for sight in last if sight.event] == [JobState.CANCELLED]
    await background.close()
