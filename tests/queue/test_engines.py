"""What every engine promises, over all engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mezzotint.queue import transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Failure, FailureClass, Job, JobState, NewJob, Transition
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.errors import JobNotFound, RequestIdReused, ServerOverloaded
from tests.queue.records import NOW, admit, new

BROKE = Failure(FailureClass.PERMANENT, "JOB_FAILED", "it broke")
ALL = JobQuery("", frozenset(), 0, 100)


@pytest.fixture(params=["memory", "sqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine without jobs."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryEngine()
        else:
            sqlite = await SqliteEngine.open(tmp_path)
            stack.push_async_callback(sqlite.close)
            yield sqlite


async def accept(engine: Engine, job_id: str = "job_1", request: NewJob | None = None) -> Job:
    """Enqueue a job."""
    request = request or new(job_id)
    return (await admit(engine, transitions.accept(request, job_id, NOW), request)).job


async def begin(engine: Engine, job: Job) -> Job:
    """Start a job."""
    change = transitions.start(job, "w1", NOW + 1)
    await engine.start(change)
    return change.job


async def keep(engine: Engine, change: Transition) -> Job:
    """Make a change."""
    await engine.commit(change)
    return change.job


async def test_jobs_are_numbered_in_the_order_of_acceptance(engine: Engine) -> None:
    """Ensures that what is accepted is kept as it was, numbered, and found among the unfinished."""
    jobs = [await accept(engine, f"job_{index}") for index in range(3)]
    assert sorted(job.number for job in jobs) == [job.number for job in jobs]
    assert await engine.recover() == jobs
    assert await engine.find("job_1") == (jobs[1], b"")


async def test_a_request_id_makes_one_job(engine: Engine) -> None:
    """Ensures that a retry gets the first job as it stands now, also once it is finished."""
    job = await begin(engine, await accept(engine))
    again = await admit(engine, transitions.accept(new("job_1"), "job_2", NOW), new("job_1"))
    assert (again.job, again.replayed) == (job, True)
    done = await keep(engine, transitions.succeed(job, "w1", 1, b"picture", NOW + 2))
    again = await admit(engine, transitions.accept(new("job_1"), "job_3", NOW), new("job_1"))
    assert (again.job, again.replayed) == (done, True)
    assert len(await engine.search(ALL)) == 1


@pytest.mark.parametrize("change", ["payload", "tier", "kind", "cost_ms", "start_within", "attempts_max"])
async def test_a_request_id_with_another_body_is_refused(engine: Engine, change: str) -> None:
    """Ensures that no field of a request can differ from the first one's."""
    other = {"payload": b"x", "tier": "pro", "kind": "x", "cost_ms": 1, "start_within": 1.0, "attempts_max": 1}[change]
    await accept(engine)
    request = new("job_1", **{change: other})
    with pytest.raises(RequestIdReused):
        await admit(engine, transitions.accept(request, "job_2", NOW), request)
    assert len(await engine.search(ALL)) == 1


async def test_request_ids_of_other_accounts_are_their_own(engine: Engine) -> None:
    """Ensures that accounts cannot get in each other's way."""
    await accept(engine, "job_1", new("same"))
    await accept(engine, "job_2", new("same", account_id="acct_2"))
    assert len(await engine.recover()) == 2


async def test_a_refusal_holds_for_new_jobs_only(engine: Engine) -> None:
    """Ensures that a retry is answered even when no new job is taken."""
    job = await accept(engine)
    full = ServerOverloaded("full")
    assert (await admit(engine, transitions.accept(new("job_1"), "job_2", NOW), new("job_1"), full)).job == job
    with pytest.raises(ServerOverloaded):
        await admit(engine, transitions.accept(new("r3"), "job_3", NOW), new("r3"), full)
    assert len(await engine.recover()) == 1


async def test_starting_gives_the_payload(engine: Engine) -> None:
    """Ensures that the worker gets what the caller sent, and the job stands as started."""
    payload = bytes(range(256)) * 256
    job = await accept(engine, request=new("job_1", payload=payload))
    change = transitions.start(job, "w1", NOW + 1)
    assert await engine.start(change) == payload
    assert await engine.recover() == [change.job]


async def test_events_are_the_history_without_gaps(engine: Engine) -> None:
    """Ensures that every event is kept with all it says, and can be read from any sequence on."""
    job = await begin(engine, await accept(engine))
    lost = Failure(FailureClass.WORKER_LOST, "LEASE_STALE", "gone")
    job = await keep(engine, transitions.fail(job, "w1", 1, lost, NOW + 2, 0.0))
    job = await begin(engine, job)
    job = await keep(engine, transitions.succeed(job, "w1", 2, b"picture", NOW + 3))
    events = await engine.events(job.job_id, 0)
    states = [JobState.QUEUED, JobState.RUNNING, JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    assert [event.state for event in events] == states
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert (events[1].attempt, events[1].worker_id, events[2].failure, events[4].result) == (1, "w1", lost, b"picture")
    assert await engine.events(job.job_id, 3) == events[3:]
    assert await engine.events(job.job_id, 5) == []


async def test_finished_jobs_are_found_with_their_ends(engine: Engine) -> None:
    """Ensures that results and reasons outlive the job, and that finished jobs are not among the unfinished."""
    first, second = await begin(engine, await accept(engine, "job_1")), await accept(engine, "job_2")
    first = await keep(engine, transitions.fail(first, "w1", 1, BROKE, NOW + 2, 0.0))
    second = await keep(engine, transitions.cancel(second, "enough", NOW + 2))
    assert await engine.recover() == []
    assert await engine.find("job_1") == (first, b"")
    assert await engine.find("job_2") == (second, b"")
    assert first.failure == BROKE


async def test_jobs_are_listed_newest_first_and_filtered(engine: Engine) -> None:
    """Ensures that pages by account and state hold what they should, finished and unfinished in one order."""
    for index in range(6):
        await accept(engine, f"job_{index}", new(f"r{index}", account_id=f"acct_{index % 2}"))
    for job_id in ("job_1", "job_4"):
        await keep(engine, transitions.cancel((await engine.find(job_id))[0], "", NOW))
    listed = await engine.search(ALL)
    assert [job.job_id for job in listed] == [f"job_{index}" for index in (5, 4, 3, 2, 1, 0)]
    mine = await engine.search(JobQuery("acct_1", frozenset(), 0, 2))
    assert [job.job_id for job in mine] == ["job_5", "job_3"]
    assert [job.job_id for job in await engine.search(JobQuery("acct_1", frozenset(), mine[-1].number, 2))] == ["job_1"]
    cancelled = await engine.search(JobQuery("", frozenset({JobState.CANCELLED}), 0, 10))
    assert [job.job_id for job in cancelled] == ["job_4", "job_1"]
    queued = await engine.search(JobQuery("acct_0", frozenset({JobState.QUEUED, JobState.RUNNING}), 0, 10))
    assert [job.job_id for job in queued] == ["job_2", "job_0"]


async def test_old_jobs_are_forgotten_in_batches(engine: Engine) -> None:
    """Ensures that only finished jobs that are old enough go, with their events and request ids."""
    for index in range(4):
        job = await accept(engine, f"job_{index}")
        if index < 3:
            await keep(engine, transitions.cancel(job, "", NOW + index))
    assert await engine.forget(NOW + 2, 1) == 1
    assert await engine.forget(NOW + 2, 10) == 1
    assert await engine.forget(NOW + 2, 10) == 0
    assert [job.job_id for job in await engine.search(ALL)] == ["job_3", "job_2"]
    assert await engine.events("job_0", 0) == []
    with pytest.raises(JobNotFound):
        await engine.find("job_1")
    assert not (await admit(engine, transitions.accept(new("job_0"), "job_9", NOW), new("job_0"))).replayed


async def test_many_changes_at_once_are_all_kept(engine: Engine) -> None:
    """Ensures that a crowd of concurrent changes, refused ones among them, leaves exactly what was acknowledged."""
    outcomes = await asyncio.gather(
        *(accept(engine, f"job_{index}", new(f"r{index % 400}")) for index in range(600)), return_exceptions=True
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len({job.job_id for job in outcomes if isinstance(job, Job)}) == 400
    assert len(await engine.recover()) == 400
