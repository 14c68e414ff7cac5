"""The SQLite engine alone: restarts, full and damaged stores, other servers, errors that must stop it."""

import asyncio
import os
from pathlib import Path

import apsw
import pytest

from mezzotint.queue import sqlite_damage, transitions
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.job import Job
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.errors import StorageFull
from tests.queue.records import NOW, admit, new

MEBIBYTE = 1024 * 1024


async def accept(engine: SqliteEngine, job_id: str, payload: bytes = b"x") -> Job:
    """Enqueue a job."""
    request = new(job_id, payload=payload)
    return (await admit(engine, transitions.accept(request, job_id, NOW), request)).job


async def accept_or_refuse(engine: SqliteEngine, job_id: str) -> Job | None:
    """Enqueue a large job; None when the store is full."""
    try:
        return await accept(engine, job_id, os.urandom(60_000))
    except StorageFull:
        return None


async def crash(engine: SqliteEngine) -> None:
    """Let the files go as a killed process does: not closed in order."""
    await engine.writer.stop()
    os.close(engine._store.lock)


async def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """Ensures that jobs, leases and numbers are the same after an orderly stop and after a crash."""
    engine = await SqliteEngine.open(tmp_path)
    first, second = await accept(engine, "job_1"), await accept(engine, "job_2")
    change = transitions.start(first, "w1", NOW)
    await engine.start(change)
    await engine.close()
    engine = await SqliteEngine.open(tmp_path)
    assert await engine.recover() == [change.job, second]
    third = await accept(engine, "job_3")
    await crash(engine)
    engine = await SqliteEngine.open(tmp_path)
    assert await engine.recover() == [change.job, second, third]
    await engine.close()


async def test_a_second_server_on_the_same_files_is_refused(tmp_path: Path) -> None:
    """Ensures that the second is told who has the store, and that the files are free again after a stop."""
    engine = await SqliteEngine.open(tmp_path)
    with pytest.raises(StoreUnavailable, match=f"in use by another queue server .process {os.getpid()}"):
        await SqliteEngine.open(tmp_path)
    await engine.close()
    await (await SqliteEngine.open(tmp_path)).close()


async def test_a_full_store_refuses_new_jobs_and_finishes_old_ones(tmp_path: Path) -> None:
    """Ensures that the limit refuses with StorageFull, that what was accepted can still end, and that room is used again."""
    engine = await SqliteEngine.open(tmp_path, bytes_max=2 * MEBIBYTE)
    jobs = [job for index in range(60) if (job := await accept_or_refuse(engine, f"job_{index}"))]
    assert 20 < len(jobs) < 40
    for job in jobs:
        change = transitions.start(job, "w1", NOW)
        await engine.start(change)
        await engine.commit(transitions.succeed(change.job, "w1", 1, b"small", NOW))
    await accept(engine, "another", os.urandom(60_000))
    assert not engine.failed.done()
    await engine.close()


async def test_the_reserve_lets_every_accepted_job_start(tmp_path: Path) -> None:
    """Ensures that new jobs leave room for what the accepted ones still have to write."""
    engine = await SqliteEngine.open(tmp_path, bytes_max=MEBIBYTE)
    outcomes = await asyncio.gather(
        *(accept(engine, f"job_{index}", bytes(300)) for index in range(3000)), return_exceptions=True
    )
    jobs = [outcome for outcome in outcomes if isinstance(outcome, Job)]
    assert {type(outcome) for outcome in outcomes} == {Job, StorageFull}
    await asyncio.gather(*(engine.start(transitions.start(job, "w1", NOW)) for job in jobs))
    await engine.close()


async def test_a_disk_without_room_refuses_only_what_does_not_fit(tmp_path: Path) -> None:
    """Ensures that of a batch that hits the hard limit each operation is judged alone, and that the writer goes on."""
    engine = await SqliteEngine.open(tmp_path, bytes_max=2 * MEBIBYTE)
    engine._store.pages_max = 0  # no reserve: the limit is met by SQLite itself
    outcomes = await asyncio.gather(
        *(accept(engine, f"job_{index}", os.urandom(60_000)) for index in range(60)), return_exceptions=True
    )
    kept = [outcome for outcome in outcomes if isinstance(outcome, Job)]
    assert {type(outcome) for outcome in outcomes} == {Job, StorageFull}
    assert await engine.recover() == kept
    await engine.commit(transitions.cancel(kept[0], "", NOW))
    assert not engine.failed.done()
    await engine.close()


@pytest.mark.parametrize("damage", ["header", "page"])
async def test_a_damaged_database_is_refused(tmp_path: Path, damage: str) -> None:
    """Ensures that a server does not start on a broken file, and says what to do."""
    engine = await SqliteEngine.open(tmp_path)
    for index in range(50):
        await accept(engine, f"job_{index}")
    await engine.writer.stop()
    await engine.reader.stop()
    engine._store.close(clean=False)
    path = tmp_path / "queue.sqlite"
    content = bytearray(path.read_bytes())
    at, length = (0, 64) if damage == "header" else (4096 * 3, len(content) - 4096 * 3)
    content[at : at + length] = b"\xa5" * length
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await SqliteEngine.open(tmp_path)
    path.unlink()
    await (await SqliteEngine.open(tmp_path)).close()


async def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    """Ensures that a format that this server does not know is left alone."""
    await (await SqliteEngine.open(tmp_path)).close()
    connection = apsw.Connection(str(tmp_path / "queue.sqlite"), vfs=sqlite_damage.VFS)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreUnavailable, match="format 9"):
        await SqliteEngine.open(tmp_path)


async def test_an_error_that_is_not_a_full_disk_stops_the_store(tmp_path: Path) -> None:
    """Ensures that after an unexpected error nothing more is acknowledged, everybody is told, and the app can see it."""
    engine = await SqliteEngine.open(tmp_path)
    job = await accept(engine, "job_1")
    engine._store.writing.set_exec_trace(failing_commit)
    with pytest.raises(StoreUnavailable):
        await engine.commit(transitions.cancel(job, "", NOW))
    with pytest.raises(StoreUnavailable, match="IOError"):
        await asyncio.wait_for(engine.failed, 5)
    with pytest.raises(StoreUnavailable):
        await accept(engine, "job_2")
    engine._store.writing.set_exec_trace(None)
    await engine.close()
    engine = await SqliteEngine.open(tmp_path)
    assert await engine.recover() == [job]
    await engine.close()


def failing_commit(_cursor: apsw.Cursor, statement: str, _bindings: object) -> bool:
    """Fails a COMMIT as a disk does that cannot fsync."""
    if statement == "COMMIT":
        raise apsw.IOError("disk I/O error")
    return True


async def test_a_change_from_another_record_is_a_defect(tmp_path: Path) -> None:
    """Ensures that two changes from the same record cannot both be kept."""
    engine = await SqliteEngine.open(tmp_path)
    job = await accept(engine, "job_1")
    await engine.start(transitions.start(job, "w1", NOW))
    with pytest.raises(StoreUnavailable):
        await engine.commit(transitions.cancel(job, "", NOW))
    with pytest.raises(StoreUnavailable, match="not its own"):
        await asyncio.wait_for(engine.failed, 5)
    await engine.close()


async def test_every_answer_comes_after_fsync(tmp_path: Path) -> None:
    """Ensures the settings that durability rests on, and that the write-ahead log is used."""
    engine = await SqliteEngine.open(tmp_path)
    pragmas = {name: engine._store.writing.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    await engine.close()
