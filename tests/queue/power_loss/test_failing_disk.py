"""A disk that fails: every call of a workload in turn. Full is refused and over; any other error stops the store."""

import random
from collections import Counter
from pathlib import Path

import apsw
import pytest

from mezzotint.queue import sqlite_writer
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_engine import SqliteEngine
from tests.queue.power_loss.disk import Disk
from tests.queue.power_loss.vfs import PowerLossVfs
from tests.queue.power_loss.workload import Workload

OPERATIONS = 25
SEED = 4
FAILURES = {
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "read": apsw.SQLITE_IOERR_READ,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "create": apsw.SQLITE_CANTOPEN,
}


class Trial:
    """One fixed workload on a new disk, one call of which fails."""

    def __init__(self, vfs: PowerLossVfs, folder: Path, operation: str = "", number: int = 0, error: int = 0) -> None:
        self.calls: Counter[str] = Counter()
        self.workload = Workload(random.Random(SEED))
        self.failed_in = ""
        self._vfs, self._folder = vfs, folder
        self._fatal = (operation, number, error)
        self._phase = "open"
        sqlite_writer.LOG_PAGES_MAX = 5
        for path in folder.glob("queue.sqlite*"):
            path.unlink()
        vfs.disk = Disk()
        vfs.disk.on_call = self._count

    def _count(self, operation: str, path: str) -> None:
        self.calls[operation] += 1
        if (operation, self.calls[operation]) == self._fatal[:2]:
            self.failed_in = self._phase
            raise apsw.exception_for(self._fatal[2])

    async def run(self) -> bool:
        """Open, work, close. Gives whether the store stopped."""
        try:
            engine = await SqliteEngine.open(self._folder)
        except StoreUnavailable:
            return True
        self._phase = "work"
        try:
            await self.workload.run(engine, OPERATIONS)
            self._phase = "close"
        finally:
            await engine.close()
        return engine.failed.done() and engine.failed.exception() is not None

    async def compare(self, *, cut: bool) -> None:
        """Start again on a disk that works, after a power cut if so; what was acknowledged is there."""
        assert not self._vfs.open_files
        self._vfs.disk.on_call = lambda operation, path: None
        if cut:
            for path in self._folder.glob("queue.sqlite*"):
                path.unlink()
            self._vfs.disk.cut(random.Random(self.calls.total()))
            self._vfs.disk.spill()
        engine = await SqliteEngine.open(self._folder)
        await self.workload.book.compare(engine)
        await self.workload.run(engine, 5)
        await self.workload.book.compare(engine)
        await engine.close()


async def calls_of(vfs: PowerLossVfs, folder: Path, operation: str) -> int:
    """How many calls of one kind a whole workload makes, more or less: how changes share commits is a matter of time."""
    trial = Trial(vfs, folder)
    assert not await trial.run()
    await trial.compare(cut=False)
    return trial.calls[operation]


@pytest.mark.parametrize("operation", FAILURES)
async def test_any_call_that_fails_stops_the_store(vfs: PowerLossVfs, tmp_path: Path, operation: str) -> None:
    """Ensures that after an error nothing more is acknowledged, and that another start finds what was, even after a cut."""
    for number in range(1, 1 + await calls_of(vfs, tmp_path, operation)):
        trial = Trial(vfs, tmp_path, operation, number, FAILURES[operation])
        stopped = await trial.run()
        assert stopped or trial.failed_in in ("close", ""), (
            f"{operation} {number} failed in {trial.failed_in} and nobody noticed"
        )
        await trial.compare(cut=number % 2 == 0)


async def test_any_write_that_does_not_fit_is_refused(vfs: PowerLossVfs, tmp_path: Path) -> None:
    """Ensures that a full disk refuses what does not fit, and that the store goes on and has lost nothing."""
    for number in range(1, 1 + await calls_of(vfs, tmp_path, "write")):
        trial = Trial(vfs, tmp_path, "write", number, apsw.SQLITE_FULL)
        stopped = await trial.run()
        assert stopped == (trial.failed_in == "open"), f"write {number} found the disk full in {trial.failed_in}"
        await trial.compare(cut=number % 2 == 0)


async def test_a_disk_that_fills_up_refuses_until_there_is_room(vfs: PowerLossVfs, tmp_path: Path) -> None:
    """Ensures that while the disk is full changes are refused and jobs are read, and that all goes on afterwards."""
    vfs.disk, workload = Disk(), Workload(random.Random(SEED))
    engine = await SqliteEngine.open(tmp_path)
    await workload.run(engine, 50)
    vfs.disk.bytes_max = sum(len(file.content) for file in vfs.disk.files.values())
    await workload.run(engine, 300)
    assert workload.full > 10
    await workload.book.compare(engine)
    vfs.disk.bytes_max = 2**62
    refused = workload.full
    await workload.run(engine, 50)
    assert workload.full == refused
    assert not engine.failed.done()
    await workload.book.compare(engine)
    await engine.close()
