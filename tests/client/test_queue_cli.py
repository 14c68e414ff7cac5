"""`mezzotint queue` against a running queue, as an operator would use it."""

from __future__ import annotations

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from mezzotint.api.queue.v1 import queue_pb2
from mezzotint.runtime.tls import Authority
from mezzotint_client.cli.queue_top import screen, trouble
from mezzotint_client.cli.queue_words import moment, payload, span
from tests.client.programs import mezzotint
from tests.queue.operating import dies
from tests.queue.wire import Caller, queue_server


class Command:
    """`mezzotint queue` on a data folder, as a process."""

    def __init__(self, data: Path, port: int) -> None:
        self._where = ["--data", str(data), "--queue-address", f"127.0.0.1:{port}"]

    async def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run it beside the queue."""
        return await asyncio.to_thread(mezzotint, "queue", *arguments, *self._where)

    async def says(self, *arguments: object) -> str:
        """What it prints; it must end well."""
        result = await self(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    async def complains(self, *arguments: object) -> str:
        """What it prints when it fails as expected."""
        result = await self(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert "Traceback" not in result.stderr
        return result.stderr


@pytest.fixture
async def running(data: Path, authority: Authority) -> AsyncIterator[tuple[Caller, Command]]:
    """A running queue and the command on it."""
    async with queue_server(data, authority) as queue:
        yield queue, Command(data, queue.port)


async def test_top_shows_every_tier_once(running: tuple[Caller, Command]) -> None:
    """Where the output is no terminal, one table is printed, which a script can read."""
    queue, command = running
    await queue.enqueue("r1")
    lines = (await command.says("top", "--once")).splitlines()
    assert lines[0].startswith("normal · 0 workers · 0 free credits")
    assert [line.split()[0] for line in lines[1:]] == ["tier", "free", "plus", "pro", "enterprise"]
    assert lines[2].split()[1:4] == ["1", "0", "0"]


async def test_jobs_are_listed_and_narrowed(running: tuple[Caller, Command]) -> None:
    """Each filter is one of the contract's; more than a page is fetched."""
    queue, command = running
    ids = [(await queue.enqueue(f"r{number}", labels={"shop": str(number % 2)})).job_id for number in range(4)]
    await queue.cancel(ids[0])
    assert [line.split()[0] for line in (await command.says("jobs")).splitlines()] == ["job", *ids[::-1]]
    assert (await command.says("jobs", "--label", "shop=1", "--count", 1)).splitlines()[1].startswith(ids[3])
    cancelled = (await command.says("jobs", "--state", "cancelled")).splitlines()
    assert [line.split()[0] for line in cancelled[1:]] == [ids[0]]
    assert len((await command.says("jobs", "--tier", "pro", "--kind", "x", "--account", "x")).splitlines()) == 1
    assert (await command("jobs", "--label", "shop")).returncode == 2


async def test_dead_jobs_are_shown_and_redriven(running: tuple[Caller, Command]) -> None:
    """From a failure to another try: the list, one job, the redrive, and nothing twice."""
    queue, command = running
    worker = queue.worker()
    await worker.hello()
    dead = await dies(queue, worker, "r1", payload=b"a red heart\x00\xff", labels={"shop": "17"})
    listed = await command.says("dead")
    assert "a red heart·· (13 bytes)" in listed
    assert "it broke" in listed
    assert len((await command.says("dead", "--reason", "JOB_EXPIRED")).splitlines()) == 1
    assert "1 job is done again" in await command.says("redrive", dead.job_id)
    assert "nothing to redrive" in await command.says("redrive")
    shown = await command.says("show", dead.job_id)
    assert "redriven by job_" in shown
    assert "shop=17" in shown
    assert "JOB_FAILED: it broke" in shown
    assert "JOB_NOT_FOUND" in await command.complains("show", "job_nobody")
    assert "FIELD_INVALID" in await command.complains("redrive", "job_nobody")


async def test_tiers_are_paused_and_resumed(running: tuple[Caller, Command]) -> None:
    """The command says how to undo it; a misspelt tier is answered with those that there are."""
    _, command = running
    assert "mezzotint queue resume free" in await command.says("pause", "free")
    assert "paused" in await command.says("top")
    assert "free goes on" in await command.says("resume", "free")
    assert "free, plus, pro, enterprise" in await command.complains("pause", "fre")


async def test_workers_are_listed_and_drained(running: tuple[Caller, Command]) -> None:
    """Who is there, and that it was told."""
    queue, command = running
    assert "no worker is connected" in await command.says("drain")
    worker = queue.worker("w1")
    await worker.hello(slots=8)
    assert (await command.says("workers")).splitlines()[1].split() == ["w1", "image.generate", "8", "0", "0"]
    assert "1 worker told to drain" in await command.says("drain", "w1")
    await worker.expect("drain")
    assert "draining" in await command.says("workers")
    assert "mezzotint queue workers" in await command.complains("drain", "w9")


async def test_the_policy_is_reloaded(running: tuple[Caller, Command]) -> None:
    """Whether it has changed is said."""
    _, command = running
    assert "nothing has changed: free, plus, pro, enterprise" in await command.says("reload")


async def test_without_a_queue_the_error_says_what_to_do(data: Path, tmp_path: Path) -> None:
    """No queue, or no installation: a sentence, not a traceback."""
    Authority.open(data)
    assert "mezzotint up" in await Command(data, 1).complains("workers")
    assert "mezzotint up" in await Command(data, 1).complains("top")
    assert "--data" in await Command(tmp_path / "nowhere", 1).complains("workers")
    assert not (tmp_path / "nowhere").exists()


def drawn(stats: queue_pb2.WatchStatsResponse) -> Iterator[str]:
    """The lines of a screen."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen(stats, "127.0.0.1:7403"))
    console.print(trouble("gone", "127.0.0.1:7403"))
    return (line.rstrip() for line in console.export_text().splitlines())


def test_the_live_screen() -> None:
    """Names from outside move no cursor and style nothing; figures stand under their headings."""
    stats = queue_pb2.WatchStatsResponse(workers=2, credits=1234, peak_mode=queue_pb2.PEAK_MODE_DEFERRING)
    stats.paid_wait_p95.FromMilliseconds(1500)
    stats.tiers.add(tier="[red]\x1b[2Jx", queued=1_000_000, paused=True, share=0.25, starts_per_second=1.5, aged=3)
    lines = list(drawn(stats))
    assert lines[1] == "deferring · 2 workers · 1,234 free credits · paid wait p95 1.5 s"
    assert lines[3].split() == ["tier", "queued", "deferred", "running", "oldest", "starts/s", "share", "aged"]
    assert lines[4].split() == ["[red]?[2Jx", "1,000,000", "0", "0", "0.0", "s", "1.50", "25%", "3", "paused"]
    assert "does not answer (gone)" in lines[-1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59, "59 s"), (61, "1 min 01 s"), (3_660, "1 h 01 min"), (90_000, "1 d 1 h")],
)
def test_spans_are_told_in_the_units_that_matter(seconds: float, words: str) -> None:
    """A wait is understood at a glance."""
    assert span(seconds) == words


def test_moments_and_payloads_in_words() -> None:
    """A long or binary payload stays one short line."""
    assert moment(Timestamp(seconds=1_767_268_800)) == "2026-01-01 12:00:00 UTC"
    assert payload(b"", 0) == " (0 bytes)"
    assert payload(b"x" * 1024, 5000) == f"{'x' * 48}… (5,000 bytes)"
    assert payload(b"\x1b[2J\n", 5) == "·[2J· (5 bytes)"
