"""Databases of older formats open and lose nothing."""

from pathlib import Path

import apsw
import pytest

from mezzotint.queue import sqlite_damage, transitions
from mezzotint.queue.engine import JobQuery, StoreUnavailable
from mezzotint.queue.job import Failure, FailureClass, JobState
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.queue.sqlite_schema import TABLES
from mezzotint.queue.sqlite_store import DATABASE, PAGE_BYTES
from tests.queue.records import NOW, new

# The tables as format 1 had them.
FORMAT_1 = TABLES.replace("  labels TEXT NOT NULL DEFAULT '',\n", "").replace(",\n  redriven_by TEXT NOT NULL DEFAULT ''", "")


def write_format_1(folder: Path) -> None:
    """A database as format 1 wrote it: a job that waits and one that failed, stopped without closing."""
    sqlite_damage.register()
    connection = apsw.Connection(str(folder / DATABASE), vfs=sqlite_damage.VFS)
    connection.reserve_bytes("main", sqlite_damage.CHECKSUM_BYTES)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    request = new()
    with connection:
        connection.execute(FORMAT_1)
        connection.execute("INSERT INTO meta VALUES ('closed_cleanly', 0); PRAGMA user_version = 1")
        for number in (1, 2):
            fixed = (number, f"job_{number}", "acct_1", f"r{number}", request.fingerprint(), "free", "image.generate")
            row = (*fixed, 1000, 3, NOW, NOW + 60)
            connection.execute("INSERT INTO registry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("INSERT INTO body VALUES (?, ?, NULL)", (number, request.payload))
            connection.execute("INSERT INTO event VALUES (?, 1, ?, 1, 0, '', NULL, NULL, NULL)", (number, NOW))
        connection.execute("INSERT INTO job VALUES (1, 1, 1, 0, 0, '', 0.0, NULL)")
        ending = (2, 5, 3, 1, 1, "w1", 0.0, NOW, NOW + 1, 2, "JOB_FAILED", "it broke")
        connection.execute("INSERT INTO finished VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ending)
    connection.close()


def test_format_1_is_what_it_was() -> None:
    """Ensures that the old tables here are without what came later."""
    assert "labels" not in FORMAT_1
    assert "redriven_by" not in FORMAT_1


async def test_a_database_of_format_1_opens(tmp_path: Path) -> None:
    """Ensures that its jobs are there, its request ids still known, and that all that is new works on it."""
    write_format_1(tmp_path)
    for _ in range(2):
        engine = await SqliteEngine.open(tmp_path)
        assert [job.job_id for job in await engine.recover()] == ["job_1"]
        dead = await engine.search(JobQuery("", frozenset(), 0, 10, dead=True))
        assert [(job.job_id, job.state, job.labels) for job in dead] == [("job_2", JobState.FAILED, ())]
        assert dead[0].failure == Failure(FailureClass.PERMANENT, "JOB_FAILED", "it broke")
        await engine.close()
    await use_what_is_new(tmp_path)


async def use_what_is_new(folder: Path) -> None:
    """Labels, pauses and redrives on a database that was migrated."""
    engine = await SqliteEngine.open(folder)
    again = await engine.enqueue(transitions.accept(new("r1"), "job_3", NOW), new("r1"))
    assert (again.job.job_id, again.replayed) == ("job_1", True)
    request = new("r3", labels=(("a", "b"),), redrives="job_2")
    await engine.enqueue(transitions.accept(request, "job_3", NOW), request)
    assert (await engine.find("job_2"))[0].redriven_by == "job_3"
    await SqliteOperatorStore(engine).pause("free")
    await engine.close()
    engine = await SqliteEngine.open(folder)
    assert [job.job_id for job in await engine.search(JobQuery("", frozenset(), 0, 10, labels=(("a", "b"),)))] == ["job_3"]
    assert await SqliteOperatorStore(engine).paused() == {"free"}
    await engine.close()


async def test_nothing_of_a_forgotten_job_is_left(tmp_path: Path) -> None:
    """Ensures that no table grows for ever: each is without the job afterwards, and still has the other."""
    engine = await SqliteEngine.open(tmp_path)
    for number in (1, 2):
        request = new(f"r{number}", labels=(("a", "b"), ("c", "d")))
        job = (await engine.enqueue(transitions.accept(request, f"job_{number}", NOW), request)).job
        await engine.commit(transitions.cancel(job, "", NOW + number))
    assert await engine.forget(NOW + 2, 10) == 1

    def numbers(reading: apsw.Connection) -> dict[str, set[object]]:
        tables = ("registry", "finished", "body", "event", "label")
        return {table: {number for (number,) in reading.execute(f"SELECT number FROM {table}")} for table in tables}

    assert set(map(frozenset, (await engine.reader.run(numbers)).values())) == {frozenset({2})}
    await engine.close()


async def test_a_later_format_is_refused(tmp_path: Path) -> None:
    """Ensures that an older server does not touch what it does not understand, and says which one does."""
    engine = await SqliteEngine.open(tmp_path)
    await engine.close()
    sqlite_damage.register()
    connection = apsw.Connection(str(tmp_path / DATABASE), vfs=sqlite_damage.VFS)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="has format 99"):
        await SqliteEngine.open(tmp_path)
