"""What operators need of every engine: finding jobs, redriving them once, pauses. Over all engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mezzotint.queue import sqlite_search, transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, NewJob
from mezzotint.queue.memory_engine import MemoryEngine, MemoryOperatorStore
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.queue.store import OperatorStore, Payload
from mezzotint.runtime.errors import JobFinished, JobNotFound
from tests.queue.records import NOW, admit, new

BROKE = Failure(FailureClass.PERMANENT, "JOB_FAILED", "it broke")
Parts = tuple[Engine, OperatorStore]


@pytest.fixture(params=["memory", "sqlite"])
async def parts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Parts]:
    """An engine without jobs and the store beside it."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            memory = MemoryEngine()
            yield memory, MemoryOperatorStore(memory)
        else:
            sqlite = await SqliteEngine.open(tmp_path)
            stack.push_async_callback(sqlite.close)
            yield sqlite, SqliteOperatorStore(sqlite)


@pytest.fixture
def engine(parts: Parts) -> Engine:
    """The engine alone."""
    return parts[0]


async def accept(engine: Engine, job_id: str, request: NewJob | None = None) -> Job:
    """Enqueue a job."""
    request = request or new(job_id)
    return (await admit(engine, transitions.accept(request, job_id, NOW), request)).job


async def die(engine: Engine, job_id: str, failure: Failure = BROKE, **fields: object) -> Job:
    """A job that has failed for good."""
    job = await accept(engine, job_id, new(job_id, **fields))
    started = transitions.start(job, "w1", NOW)
    await engine.start(started)
    ended = transitions.fail(started.job, "w1", 1, failure, NOW + 1, 0.0)
    await engine.commit(ended)
    return ended.job


async def found(engine: Engine, **filters: object) -> list[str]:
    """The ids that a query gives."""
    query = JobQuery("", frozenset(), 0, 100, **filters)  # type: ignore[arg-type]  # as the test names them
    return [job.job_id for job in await engine.search(query)]


async def test_labels_and_not_before_are_kept(engine: Engine) -> None:
    """Ensures that a job comes back with all it was accepted with, waiting and finished."""
    labels = (("order", "17"), ("shop/name", ""))
    job = await accept(engine, "job_1", new("r1", labels=labels, not_before=NOW + 60))
    assert (job.labels, job.not_before, job.state) == (labels, NOW + 60, JobState.DEFERRED)
    assert await engine.recover() == [job]
    ended = transitions.cancel(job, "", NOW)
    await engine.commit(ended)
    assert await engine.find("job_1") == (ended.job, b"")
    assert (await engine.events("job_1", 0))[0].failure is not None


async def test_jobs_are_found_by_tier_kind_and_labels(engine: Engine) -> None:
    """Ensures that every filter alone and all together give exactly their jobs, finished or not, newest first."""
    for index in range(6):
        labels = (("even", str(index % 2 == 0)), ("number", str(index)))
        fields = {"tier": ("free", "pro")[index % 2], "kind": f"kind{index % 3}", "labels": labels}
        job = await accept(engine, f"job_{index}", new(f"r{index}", **fields))
        if index < 3:
            await engine.commit(transitions.cancel(job, "", NOW))
    assert await found(engine, tier="pro") == ["job_5", "job_3", "job_1"]
    assert await found(engine, kind="kind0") == ["job_3", "job_0"]
    assert await found(engine, labels=(("even", "True"),)) == ["job_4", "job_2", "job_0"]
    assert await found(engine, labels=(("even", "True"), ("number", "2"))) == ["job_2"]
    assert await found(engine, labels=(("even", "True"), ("number", "3"))) == []
    assert await found(engine, labels=(("even", "False"),), tier="pro", kind="kind0") == ["job_3"]
    page = await engine.search(JobQuery("acct_1", frozenset({JobState.QUEUED}), 5, 1, labels=(("even", "True"),)))
    assert [job.job_id for job in page] == []
    page = await engine.search(JobQuery("acct_1", frozenset({JobState.QUEUED}), 6, 1, labels=(("even", "True"),)))
    assert [job.job_id for job in page] == ["job_4"]


@pytest.mark.parametrize("walked", [1, 2, 3, 100])
async def test_a_walk_in_parts_finds_what_one_walk_does(engine: Engine, walked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that wherever a long walk is interrupted for other reads, pages neither miss nor repeat a job."""
    monkeypatch.setattr(sqlite_search, "WALK_JOBS", walked)
    for index in range(9):
        job = await accept(engine, f"job_{index}", new(f"r{index}", kind=f"kind{index % 2}"))
        if index % 3 == 0:
            await engine.commit(transitions.cancel(job, "", NOW))
    assert await engine.forget(NOW + 1, 1) == 1
    pages: list[str] = []
    before = 0
    while page := await engine.search(JobQuery("", frozenset(), before, 2, kind="kind0")):
        pages += [job.job_id for job in page]
        before = page[-1].number
    assert pages == ["job_8", "job_6", "job_4", "job_2"]


async def test_forgotten_jobs_are_not_found_by_their_labels(engine: Engine) -> None:
    """Ensures that nothing of a job is left when its time is over, and that others keep theirs."""
    job = await accept(engine, "job_1", new("r1", labels=(("a", "b"),)))
    await accept(engine, "job_2", new("r2", labels=(("a", "b"),)))
    await engine.commit(transitions.cancel(job, "", NOW))
    assert await engine.forget(NOW + 1, 10) == 1
    assert await found(engine, labels=(("a", "b"),)) == ["job_2"]


async def test_dead_jobs_are_those_that_failed(engine: Engine) -> None:
    """Ensures that only failed jobs are dead, and that tier and reason narrow them down."""
    await die(engine, "job_1")
    await die(engine, "job_2", Failure(FailureClass.PERMANENT, "SIZE_UNSUPPORTED", "no"), tier="pro")
    await engine.commit(transitions.cancel(await accept(engine, "job_3"), "", NOW))
    await accept(engine, "job_4")
    assert await found(engine, dead=True) == ["job_2", "job_1"]
    assert await found(engine, dead=True, tier="pro") == ["job_2"]
    assert await found(engine, dead=True, reason="JOB_FAILED") == ["job_1"]


async def test_a_dead_job_is_redriven_once(engine: Engine) -> None:
    """Ensures that the mark comes with the new job, that a retry finds that, and that another redrive is refused."""
    await die(engine, "job_1")
    again = new("redrive:job_1", redrives="job_1", not_before=NOW + 5)
    kept = await admit(engine, transitions.accept(again, "job_2", NOW), again)
    assert (kept.job.job_id, kept.replayed) == ("job_2", False)
    dead, _ = await engine.find("job_1")
    assert dead.redriven_by == "job_2"
    assert await found(engine, dead=True) == []
    later = new("redrive:job_1", redrives="job_1", not_before=NOW + 99)
    kept = await admit(engine, transitions.accept(later, "job_3", NOW), later)
    assert (kept.job.job_id, kept.replayed) == ("job_2", True)
    other = new("r4", redrives="job_1")
    with pytest.raises(JobFinished):
        await admit(engine, transitions.accept(other, "job_4", NOW), other)
    assert len(await found(engine)) == 2


async def test_what_is_not_dead_is_not_redriven(engine: Engine) -> None:
    """Ensures that a waiting, a cancelled and an unknown job leave nothing behind."""
    await accept(engine, "job_1")
    await engine.commit(transitions.cancel(await accept(engine, "job_2"), "", NOW))
    for redrives, error in (("job_1", JobNotFound), ("job_2", JobFinished), ("job_9", JobNotFound)):
        request = new("x", redrives=redrives)
        with pytest.raises(error):
            await admit(engine, transitions.accept(request, "job_5", NOW), request)
    assert await found(engine) == ["job_2", "job_1"]


async def test_many_redrives_at_once_make_one_job(engine: Engine) -> None:
    """Ensures that operators who press the button together get one job."""
    await die(engine, "job_1")
    request = new("redrive:job_1", redrives="job_1")
    kept = await asyncio.gather(
        *(admit(engine, transitions.accept(request, f"job_{index}", NOW), request) for index in range(2, 40))
    )
    assert len({each.job.job_id for each in kept}) == 1
    assert sum(not each.replayed for each in kept) == 1


async def test_pauses_are_kept(parts: Parts) -> None:
    """Ensures that pausing and resuming hold, and that doing so twice does nothing."""
    _, store = parts
    assert await store.paused() == frozenset()
    for _ in range(2):
        await store.pause("free")
    await store.pause("pro")
    assert await store.paused() == {"free", "pro"}
    for _ in range(2):
        await store.resume("free")
    assert await store.paused() == {"pro"}


async def test_payloads_are_cut_and_measured(parts: Parts) -> None:
    """Ensures that a large payload is not read whole to be looked at, and that a missing job is left out."""
    engine, store = parts
    await die(engine, "job_1", payload=bytes(range(256)) * 8)
    await die(engine, "job_2", payload=b"")
    assert await store.payloads(["job_1", "job_2", "job_9"], 1024) == {
        "job_1": Payload(bytes(range(256)) * 4, 2048),
        "job_2": Payload(b"", 0),
    }
