"""Databases of older formats open and lose nothing."""

from pathlib import Path

import apsw
import pytest

from mezzotint.queue import sqlite_damage, transitions
from mezzotint.queue.engine import JobQuery, StoreUnavailable
from mezzotint.queue.job import Failure, FailureClass, JobState
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.queue.sqlite_schema import ADDED, REGISTRY, TABLES
from mezzotint.queue.sqlite_store import DATABASE, PAGE_BYTES
from tests.queue.records import NOW, admit, new

# The registry as format 2 had it, and the tables as format 1 did.
REGISTRY_2 = REGISTRY[: REGISTRY.index("\n) STRICT")] + (
    ",\n  UNIQUE (account_id, request_id)\n) STRICT;\nCREATE INDEX registry_account ON registry (account_id, number);\n"
)
FORMAT_2 = TABLES.replace(REGISTRY, REGISTRY_2)
FORMAT_1 = FORMAT_2.replace("  labels TEXT NOT NULL DEFAULT '',\n", "").replace(",\n  redriven_by TEXT NOT NULL DEFAULT ''", "")
OTHERS_ACCOUNT = "acct_2"


def begin(folder: Path) -> apsw.Connection:
    """An empty database as the queue makes it."""
    sqlite_damage.register()
    connection = apsw.Connection(str(folder / DATABASE), vfs=sqlite_damage.VFS)
    connection.reserve_bytes("main", sqlite_damage.CHECKSUM_BYTES)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def write_format_1(folder: Path) -> None:
    """A database as format 1 wrote it: a job that waits and one that failed, stopped without closing."""
    connection = begin(folder)
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


def write_format_2(folder: Path, jobs: int) -> None:
    """A database as format 2 wrote it: jobs of two accounts in turn that wait, each with a label."""
    connection = begin(folder)
    with connection:
        connection.execute(FORMAT_2 + ADDED)
        connection.execute("INSERT INTO meta VALUES ('closed_cleanly', 1); PRAGMA user_version = 2")
        for number in range(1, jobs + 1):
            request = new(f"r{number}", account_id=("acct_1", OTHERS_ACCOUNT)[number % 2], labels=(("a", "b"),))
            fixed = (number, f"job_{number}", request.account_id, f"r{number}", request.fingerprint(), "free", request.kind)
            row = (*fixed, 1000, 3, NOW, NOW + 60, '{"a":"b"}')
            connection.execute("INSERT INTO registry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("INSERT INTO body VALUES (?, ?, NULL)", (number, request.payload))
            connection.execute("INSERT INTO event VALUES (?, 1, ?, 1, 0, '', NULL, NULL, NULL)", (number, NOW))
            connection.execute("INSERT INTO job VALUES (?, 1, 1, 0, 0, '', 0.0, NULL)", (number,))
            connection.execute("INSERT INTO label VALUES ('a', 'b', ?)", (number,))
    connection.close()


def test_the_old_formats_are_what_they_were() -> None:
    """Ensures that the old tables here are without what came later."""
    assert "labels" not in FORMAT_1
    assert "redriven_by" not in FORMAT_1
    for old in (FORMAT_1, FORMAT_2):
        assert "UNIQUE (account_id, request_id)\n" in old
        assert "registry_request" not in old


async def test_a_database_of_format_2_opens(tmp_path: Path) -> None:
    """Ensures that its jobs are found by account, label and request id."""
    write_format_2(tmp_path, 40)
    engine = await SqliteEngine.open(tmp_path)
    assert [job.job_id for job in await engine.recover()] == [f"job_{number}" for number in range(1, 41)]
    theirs = await engine.search(JobQuery(OTHERS_ACCOUNT, frozenset(), 30, 5))
    assert [job.number for job in theirs] == [29, 27, 25, 23, 21]
    assert {job.labels for job in theirs} == {(("a", "b"),)}
    assert len(await engine.search(JobQuery("", frozenset(), 0, 100, labels=(("a", "b"),)))) == 40
    again = new("r7", account_id=OTHERS_ACCOUNT, labels=(("a", "b"),))
    assert (await admit(engine, transitions.accept(again, "job_x", NOW), again)).job.job_id == "job_7"
    await engine.close()


@pytest.mark.parametrize("version", [1, 2])
async def test_a_migrated_database_has_the_tables_of_a_new_one(version: int, tmp_path: Path) -> None:
    """Ensures that columns and indexes are the same whenever a database was made."""
    made, migrated = tmp_path / "made", tmp_path / "migrated"
    migrated.mkdir()
    if version == 1:
        write_format_1(migrated)
    else:
        write_format_2(migrated, 3)
    assert await shape(migrated) == await shape(made)


async def shape(folder: Path) -> dict[str, list[object]]:
    """The version, and each table's columns and indexes."""

    def read(reading: apsw.Connection) -> dict[str, list[object]]:
        tables = [name for (name,) in reading.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        found: dict[str, list[object]] = {"version": list(reading.execute("PRAGMA user_version"))}
        for table in tables:
            found[table] = list(reading.execute(f"SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo('{table}')"))
            found[f"{table} indexes"] = sorted(reading.execute(f"SELECT name, \"unique\" FROM pragma_index_list('{table}')"))
            select = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql <> '' AND tbl_name = ? ORDER BY name"
            found[f"{table} index texts"] = list(reading.execute(select, (table,)))
        return found

    engine = await SqliteEngine.open(folder)
    try:
        return await engine.reader.run(read)
    finally:
        await engine.close()


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
    again = await admit(engine, transitions.accept(new("r1"), "job_3", NOW), new("r1"))
    assert (again.job.job_id, again.replayed) == ("job_1", True)
    request = new("r3", labels=(("a", "b"),), redrives="job_2")
    await admit(engine, transitions.accept(request, "job_3", NOW), request)
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
        job = (await admit(engine, transitions.accept(request, f"job_{number}", NOW), request)).job
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
