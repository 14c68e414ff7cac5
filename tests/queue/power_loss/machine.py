"""A machine that runs the engine on the disk in memory and loses its power again and again."""

import asyncio
import random
from pathlib import Path

import apsw

from mezzotint.queue import sqlite_writer
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_engine import SqliteEngine
from tests.queue.power_loss.disk import Disk
from tests.queue.power_loss.lost import Lost
from tests.queue.power_loss.vfs import PowerLossVfs
from tests.queue.power_loss.workload import Workload

# Calls to the disk until the power goes: in the middle of opening, of a commit, of a checkpoint, or of nothing.
CALLS_UNTIL_CUT = (3, 10, 40, 150, 500)


class PowerLost(apsw.IOError):
    """The machine is off."""

    result = extendedresult = apsw.SQLITE_IOERR


class Machine:
    """One disk, one workload, many lives. `pragma` is set in each life, before the work."""

    def __init__(self, vfs: PowerLossVfs, folder: Path, seed: int, *, lying: bool = False, pragma: str = "") -> None:
        self.random = random.Random(seed)
        self.workload = Workload(self.random)
        self.cuts = 0
        self._vfs, self._folder, self._pragma = vfs, folder, pragma
        self._calls_left = 0
        vfs.disk = Disk(lying=lying)

    async def live(self) -> None:
        """Work until the power goes; start again, perhaps in several attempts, and compare. Raises Lost."""
        self._plug_in(self.random.randrange(1, self.random.choice(CALLS_UNTIL_CUT) + 1))
        try:
            engine = await SqliteEngine.open(self._folder)
        except StoreUnavailable:
            if self._calls_left > 0:
                raise
        else:
            await self._work(engine)
        self._cut()
        self._plug_in(1_000_000)
        await self._compare()

    async def _work(self, engine: SqliteEngine) -> None:
        sqlite_writer.LOG_PAGES_MAX = self.random.choice([5, 20, 1024])
        try:
            engine._store.writing.execute(f"PRAGMA cache_size = {self.random.choice([5, 2000])}")
            if self._pragma:
                engine._store.writing.execute(f"PRAGMA {self._pragma}")
            await self.workload.run(engine, self.random.randrange(1, 60))
        except apsw.IOError:
            pass
        finally:
            if self.random.random() < 0.8:
                self._calls_left = 0
            await engine.close()

    async def _compare(self) -> None:
        """What is there is what was acknowledged; and once more after another start."""
        for _ in range(self.random.choice([1, 2])):
            try:
                engine = await SqliteEngine.open(self._folder)
            except StoreUnavailable as error:
                raise Lost(f"it does not start again: {error}") from error
            try:
                await self.workload.book.compare(engine)
            except StoreUnavailable as error:
                raise Lost(f"it cannot be read: {error}") from error
            finally:
                await engine.close()

    def _plug_in(self, calls: int) -> None:
        """The power is on, for so many calls that change something."""
        self._calls_left = calls
        self._vfs.disk.on_call = self._use_power

    def _use_power(self, operation: str, path: str) -> None:
        if self._calls_left <= 0:
            raise PowerLost(f"no power to {operation} {path}")
        if operation != "read":
            self._calls_left -= 1
            if self._calls_left == 0:
                raise PowerLost(f"the power went at {operation} {path}")

    def _cut(self) -> None:
        self.cuts += 1
        assert not self._vfs.open_files, f"the engine left {self._vfs.open_files} open"
        for path in self._folder.glob("queue.sqlite*"):
            path.unlink()
        self._vfs.disk.cut(self.random)
        self._vfs.disk.spill()


async def survive(vfs: PowerLossVfs, folder: Path, seed: int, cuts: int, *, lying: bool = False, pragma: str = "") -> Machine:
    """So many power cuts of one machine. What is lost is told with the seed that shows it."""
    machine = Machine(vfs, folder, seed, lying=lying, pragma=pragma)
    for _ in range(cuts):
        try:
            await asyncio.wait_for(machine.live(), 60)
        except Lost as lost:
            raise Lost(f"seed {seed}, cut {machine.cuts}: {lost}") from lost
    return machine
