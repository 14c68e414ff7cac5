"""Power cuts at any call to the disk: nothing acknowledged is lost, nothing is half done.

To see a failure again run its seed: `pytest "tests/queue/power_loss/test_power_loss.py::test_nothing_acknowledged_is_lost[7]"`.
"""

import random
from pathlib import Path

import pytest

from mezzotint.queue.sqlite_engine import SqliteEngine
from tests.queue.power_loss.lost import Lost
from tests.queue.power_loss.machine import survive
from tests.queue.power_loss.vfs import PowerLossVfs
from tests.queue.power_loss.workload import FACTS, Workload

CUTS = 100
# A disk that lies is found out within so many cuts.
CUTS_TO_FIND = 100


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_acknowledged_is_lost(vfs: PowerLossVfs, tmp_path: Path, seed: int) -> None:
    """Ensures that after every cut the store holds each acknowledged change, and of each other all or nothing."""
    machine = await survive(vfs, tmp_path, seed, CUTS)
    assert machine.cuts == CUTS


async def test_the_work_that_is_cut_off_has_everything_in_it(vfs: PowerLossVfs, tmp_path: Path) -> None:
    """Ensures that jobs with labels and times, redrives, second redrives, pauses and resumptions are among what is checked."""
    workload = Workload(random.Random(1))
    engine = await SqliteEngine.open(tmp_path)
    await workload.run(engine, 1000)
    await workload.book.compare(engine)
    await engine.close()
    assert {fact for fact, times in workload.done.items() if times >= 5} == FACTS


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1100))
async def test_nothing_acknowledged_is_lost_in_many_cuts(vfs: PowerLossVfs, tmp_path: Path, seed: int) -> None:
    """Ensures the same over 10,000 cuts."""
    await survive(vfs, tmp_path, seed, CUTS)


@pytest.mark.parametrize("seed", range(5))
async def test_a_disk_that_does_not_sync_is_found_out(vfs: PowerLossVfs, tmp_path: Path, seed: int) -> None:
    """Ensures that these tests can fail: when fsync does nothing, they find what was lost."""
    with pytest.raises(Lost):
        await survive(vfs, tmp_path, seed, CUTS_TO_FIND, lying=True)


@pytest.mark.parametrize("pragma", ["synchronous = OFF", "synchronous = NORMAL"])
async def test_a_database_that_does_not_sync_is_found_out(vfs: PowerLossVfs, tmp_path: Path, pragma: str) -> None:
    """Ensures that they see a setting that acknowledges before the fsync."""
    with pytest.raises(Lost):
        await survive(vfs, tmp_path, 1, CUTS_TO_FIND, pragma=pragma)
