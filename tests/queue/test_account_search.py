"""The jobs of an account among many others, in the index that is cut into segments."""

from pathlib import Path

import pytest

from mezzotint.queue import sqlite_search, transitions
from mezzotint.queue.engine import Candidate, JobQuery
from mezzotint.queue.job import JobState
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_schema import SEGMENT_BITS
from tests.queue.records import NOW, new

JOBS = (2 << SEGMENT_BITS) + 1000
RARE_EVERY = 1000


async def test_an_accounts_jobs_are_found_across_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that pages of one account's jobs are whole, in order, and begin where they are told to, one segment a read."""
    monkeypatch.setattr(sqlite_search, "WALK_SEGMENTS", 1)
    engine = await SqliteEngine.open(tmp_path)
    rare = [number for number in range(1, JOBS + 1) if number % RARE_EVERY == 0]
    requests = [new(f"r{n}", account_id="rare" if n % RARE_EVERY == 0 else "common") for n in range(1, JOBS + 1)]
    await engine.enqueue([Candidate(transitions.accept(each, f"job_{each.request_id}", NOW), each) for each in requests])
    found = await engine.search(JobQuery("rare", frozenset(), 0, 100))
    assert [job.number for job in found] == rare[::-1]
    pages, before = [], 0
    while page := await engine.search(JobQuery("rare", frozenset(), before, 2)):
        pages += [job.number for job in page]
        before = page[-1].number
    assert pages == rare[::-1]
    for job in found[::2]:
        await engine.commit(transitions.cancel(job, "", NOW))
    ended = await engine.search(JobQuery("rare", frozenset({JobState.CANCELLED}), 0, 100))
    assert [job.number for job in ended] == rare[::-1][::2]
    assert await engine.search(JobQuery("nobody", frozenset(), 0, 100)) == []
    await engine.close()
