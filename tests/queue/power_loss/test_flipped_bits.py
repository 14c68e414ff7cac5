"""A bit that flips on the disk: found at the start or where it is read, or without consequence; never served as good data."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, rmtree

import apsw
import pytest
from structlog.testing import capture_logs

from mezzotint.queue import sqlite_writer
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_store import DATABASE, PAGE_BYTES
from tests.queue.power_loss.book import EVERYTHING, Counts, count_rows
from tests.queue.power_loss.workload import Workload

LOG = f"{DATABASE}-wal"
FLIPS = 150
FRAME_BYTES = PAGE_BYTES + 24
# Everything there is to read: jobs with their results, histories, the number of rows, payloads.
Content = tuple[list[object], list[object], Counts, object]


async def content(folder: Path) -> Content:
    """What a server on these files serves. Raises StoreUnavailable."""
    engine = await SqliteEngine.open(folder)
    try:
        jobs = await engine.search(EVERYTHING)
        found = [await engine.find(job.job_id) for job in jobs]
        payloads = await engine.reader.run(lambda reading: reading.execute("SELECT payload FROM body").fetchall())
        return list(found), [await engine.events(job.job_id, 0) for job in jobs], await count_rows(engine), payloads
    finally:
        await engine.close()


async def opens(folder: Path) -> bool:
    """A server on these files starts. One that was not stopped in order looks at every page before it does."""
    try:
        await (await SqliteEngine.open(folder)).close()
    except StoreUnavailable:
        return False
    return True


def damaged(folder: Path) -> bool:
    """Reading every page meets one whose checksum is wrong."""
    connection = apsw.Connection(str(folder / DATABASE), vfs="cksmvfs")
    try:
        connection.execute("PRAGMA integrity_check").fetchall()
    except apsw.IOError:
        return True
    finally:
        connection.close()
    return False


@contextmanager
def flipped(source: Path, folder: Path, file: str, at: int, bit: int) -> Iterator[Path]:
    """A copy of a data folder with one bit of one file flipped."""
    copytree(source, folder)
    path = folder / file
    changed = bytearray(path.read_bytes())
    changed[at] ^= 1 << bit
    path.write_bytes(changed)
    try:
        yield folder
    finally:
        rmtree(folder)


async def worked_on(folder: Path, operations: int, *, clean: bool) -> SqliteEngine:
    """Files with so much work in them, closed in order or left as a killed process leaves them."""
    engine = await SqliteEngine.open(folder)
    await Workload(random.Random(1)).run(engine, operations)
    if clean:
        await engine.close()
    return engine


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Tracebacks of hundreds of damaged stores would take longer than the tests."""
    with capture_logs():
        yield


@pytest.mark.parametrize("clean", [True, False])
async def test_a_bit_flipped_in_the_database_is_never_served(tmp_path: Path, clean: bool) -> None:
    """Ensures that wherever it is, also inside a row and after a stop in order, the data is right or refused."""
    source, random_ = tmp_path / "source", random.Random(2)
    await worked_on(source, 150, clean=True)
    good = await content(source)
    if not clean:
        connection = apsw.Connection(str(source / DATABASE), vfs="cksmvfs")
        connection.execute("UPDATE meta SET value = 0")
        connection.close()
    size, found = (source / DATABASE).stat().st_size, 0
    for _ in range(FLIPS):
        with flipped(source, tmp_path / "copy", DATABASE, random_.randrange(size), random_.randrange(8)) as folder:
            try:
                assert await content(folder) == good
                # After a stop in order a page is checked when it is read, and not every page was.
                found += clean and damaged(folder)
            except StoreUnavailable:
                found += clean or not await opens(folder)
    assert found > FLIPS * 0.9 * part_in_use(source / DATABASE)


def part_in_use(database: Path) -> float:
    """The part of a file's pages that hold anything; the others are not read, whatever happens to them."""
    connection = apsw.Connection(str(database), vfs="cksmvfs")
    unused, pages = (connection.execute(f"PRAGMA {name}").get for name in ("freelist_count", "page_count"))
    connection.close()
    assert isinstance(unused, int)
    assert isinstance(pages, int)
    return 1 - unused / pages


async def test_a_bit_flipped_in_the_log_is_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that commits before the last are there or their loss is told; a damaged last one looks like an unfinished one."""
    monkeypatch.setattr(sqlite_writer, "IDLE_SECONDS", 1000.0)
    source, random_ = tmp_path / "source", random.Random(3)
    engine = await worked_on(source, 60, clean=False)
    copytree(source, tmp_path / "killed")
    last = start_of_last_commit(source / LOG)
    await engine.close()
    copytree(tmp_path / "killed", tmp_path / "copy")
    good = await content(tmp_path / "copy")
    rmtree(tmp_path / "copy")
    refused = 0
    for _ in range(FLIPS):
        at = random_.randrange((tmp_path / "killed" / LOG).stat().st_size)
        with flipped(tmp_path / "killed", tmp_path / "copy", LOG, at, random_.randrange(8)) as folder:
            try:
                assert await content(folder) == good or at >= last
            except StoreUnavailable:
                refused += 1
    assert refused > FLIPS * 0.8


def start_of_last_commit(log: Path) -> int:
    """Where the frames of the last commit begin."""
    written = log.read_bytes()
    starts = range(32, len(written), FRAME_BYTES)
    commits = [start + FRAME_BYTES for start in starts if written[start + 4 : start + 8] != bytes(4)]
    return commits[-2]


@pytest.mark.parametrize("at", [0, 1, 16, 20, 28])
async def test_a_damaged_header_of_the_log_is_refused(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that a log that SQLite would take for an empty one stops the start."""
    monkeypatch.setattr(sqlite_writer, "IDLE_SECONDS", 1000.0)
    engine = await worked_on(tmp_path / "source", 60, clean=False)
    copytree(tmp_path / "source", tmp_path / "killed")
    await engine.close()
    with flipped(tmp_path / "killed", tmp_path / "copy", LOG, at, 0) as folder:
        for _ in range(2):  # the refusal leaves the log alone: the next start refuses it too
            with pytest.raises(StoreUnavailable, match="damaged"):
                await content(folder)
