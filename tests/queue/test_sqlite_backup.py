"""A copy of the database made while the queue uses it is one that the queue takes back."""

import asyncio
import sys
from pathlib import Path

import pytest

from mezzotint.queue import transitions
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.sqlite_backup import BackupFailed, back_up
from mezzotint.queue.sqlite_engine import SqliteEngine
from tests.queue.records import NOW, admit, new


async def accept(engine: SqliteEngine, job_id: str) -> None:
    """Enqueue a job."""
    request = new(job_id)
    await admit(engine, transitions.accept(request, job_id, NOW), request)


async def run(module: str, *arguments: str) -> tuple[int, str]:
    """Run a module as a command; its exit code and what it said on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return process.returncode or 0, said.decode()


async def jobs_in(folder: Path) -> list[str]:
    """What a queue that starts on these files finds."""
    engine = await SqliteEngine.open(folder)
    try:
        return [job.job_id for job in await engine.recover()]
    finally:
        await engine.close()


async def test_a_copy_of_a_queue_in_use_is_taken_back(tmp_path: Path) -> None:
    """Ensures that it holds all that was acknowledged before it, and nothing later."""
    used, restored = tmp_path / "used", tmp_path / "restored"
    restored.mkdir()
    engine = await SqliteEngine.open(used)
    await accept(engine, "job_1")
    back_up(used / "queue.sqlite", restored / "queue.sqlite")
    await accept(engine, "job_2")
    await engine.close()
    assert await jobs_in(restored) == ["job_1"]
    assert await jobs_in(used) == ["job_1", "job_2"]


async def test_what_the_shell_copies_is_refused(tmp_path: Path) -> None:
    """Ensures that the reason for this command still holds: a copy without its checksums is not taken for a good one."""
    used, copied = tmp_path / "used", tmp_path / "copied"
    copied.mkdir()
    await (await SqliteEngine.open(used)).close()
    vacuum = f"VACUUM INTO '{copied / 'queue.sqlite'}'"
    assert (await run("apsw", str(used / "queue.sqlite"), vacuum))[0] == 0
    with pytest.raises(StoreUnavailable, match="checksum"):
        await SqliteEngine.open(copied)


async def test_nothing_is_overwritten_and_nothing_half_done_is_left(tmp_path: Path) -> None:
    """Ensures that a copy that is there stays, that a damaged database gives none, and that the command says so."""
    await (await SqliteEngine.open(tmp_path)).close()
    database, copy = tmp_path / "queue.sqlite", tmp_path / "copy.sqlite"
    copy.write_text("an earlier one")
    with pytest.raises(BackupFailed, match="exists already"):
        back_up(database, copy)
    assert copy.read_text() == "an earlier one"
    copy.unlink()
    pages = bytearray(database.read_bytes())
    pages[len(pages) // 2] ^= 1
    database.write_bytes(pages)
    code, said = await run("mezzotint.queue.sqlite_backup", str(database), str(copy))
    assert code == 1
    assert "could not be copied" in said
    assert not copy.exists()
