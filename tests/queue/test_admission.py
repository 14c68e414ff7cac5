"""New jobs in one statement or in many: the same rows, and the same answers."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzotint.queue import sqlite_fresh, sqlite_inbox, sqlite_store, transitions
from mezzotint.queue.engine import Candidate, Enqueued
from mezzotint.queue.sqlite_admission import Admission
from mezzotint.queue.sqlite_inbox import CROWD_PER_SECOND, MEMORY_SECONDS, Crowd, Inbox
from mezzotint.queue.sqlite_operations import Operation, each
from mezzotint.queue.sqlite_store import SqliteStore
from mezzotint.runtime.errors import MezzotintError, RequestIdReused, ServerOverloaded
from tests.queue.records import NOW, new

CROWD_ITEMS = int(2 * CROWD_PER_SECOND * MEMORY_SECONDS)
TABLES = ("registry", "label", "job", "body", "event")
LABELS = st.dictionaries(st.sampled_from(("day", "shop", "a-b.c")), st.text("aé\"'{}", max_size=4), max_size=3)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    """Two empty stores."""
    opened = [sqlite_store.open_store(tmp_path / name, 0) for name in ("one", "other")]
    yield opened[0], opened[1]
    for store in opened:
        store.close(clean=True)


def candidate(index: int, refusal: MezzotintError | None = None, **fields: Any) -> Candidate:
    """A new job."""
    request = new(**({"request_id": f"r{index}"} | fields))
    return Candidate(transitions.accept(request, f"job_{index}", NOW), request, refusal)


def contents(store: SqliteStore) -> dict[str, set[tuple[Any, ...]]]:
    """Every row of the tables of jobs."""
    return {table: set(store.writing.execute(f"SELECT * FROM {table}")) for table in TABLES}


def admit(store: SqliteStore, candidates: Sequence[Candidate]) -> list[Enqueued | MezzotintError]:
    """What becomes of new jobs in a transaction of many statements."""
    store.writing.execute("BEGIN IMMEDIATE")
    outcomes = Admission(store).admit(store.writing, candidates)
    store.writing.execute("COMMIT")
    return outcomes


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(LABELS, min_size=1, max_size=8), payload=st.binary(max_size=50))
def test_one_statement_writes_what_many_do(
    stores: tuple[SqliteStore, SqliteStore], labels: list[dict[str, str]], payload: bytes
) -> None:
    """Ensures that both ways leave the same rows in every table, labels and later changes of numbers included."""
    one, other = stores
    start = one.numbers
    candidates = [
        candidate(start + index, payload=payload, labels=tuple(sorted(each.items()))) for index, each in enumerate(labels)
    ]
    assert Admission(one).admit_at_once(one.writing, candidates) == admit(other, candidates)
    assert contents(one) == contents(other)


def test_a_request_that_was_accepted_before_is_left_to_many_statements(stores: tuple[SqliteStore, SqliteStore]) -> None:
    """Ensures that one known request among new ones makes the one statement do nothing, and that it then is a replay."""
    store, _ = stores
    admission = Admission(store)
    assert admission.admit_at_once(store.writing, [candidate(1)]) is not None
    before = contents(store)
    again = [candidate(2), candidate(3, request_id="r1"), candidate(4, request_id="r1", payload=b"another")]
    assert admission.admit_at_once(store.writing, again) is None
    assert contents(store) == before
    assert not store.writing.in_transaction
    fresh, replayed, reused = admit(store, again)
    assert isinstance(fresh, Enqueued)
    assert isinstance(replayed, Enqueued)
    assert replayed.replayed
    assert replayed.job.job_id == "job_1"
    assert isinstance(reused, RequestIdReused)


def test_the_same_request_twice_at_once_is_one_job(stores: tuple[SqliteStore, SqliteStore]) -> None:
    """Ensures that a request and its retry in the same statement are told of the same job."""
    store, _ = stores
    outcomes = Admission(store).admit_at_once(store.writing, [candidate(1), candidate(2, request_id="r1")])
    assert outcomes is not None
    assert [each.job.job_id for each in outcomes if isinstance(each, Enqueued)] == ["job_1", "job_1"]
    assert len(contents(store)["registry"]) == 1


@pytest.mark.parametrize("reason", ["refused", "redrive", "many"])
def test_what_one_statement_cannot_do_is_left(stores: tuple[SqliteStore, SqliteStore], reason: str) -> None:
    """Ensures that refusals, redrives and long batches write nothing this way."""
    store, _ = stores
    candidates = {
        "refused": [candidate(1), candidate(2, ServerOverloaded("full"))],
        "redrive": [candidate(1), candidate(2, redrives="job_0")],
        "many": [candidate(index) for index in range(sqlite_fresh.ROWS_MAX + 1)],
    }[reason]
    assert Admission(store).admit_at_once(store.writing, candidates) is None
    assert not contents(store)["registry"]


def test_the_view_is_not_a_part_of_the_file(stores: tuple[SqliteStore, SqliteStore]) -> None:
    """Ensures that another version finds the tables that it knows, and nothing else."""
    kinds = stores[0].writing.execute("SELECT DISTINCT type FROM main.sqlite_schema").fetchall()
    assert sorted(kinds) == [("index",), ("table",)]


def test_a_crowd_is_told_by_its_rate() -> None:
    """Ensures that a steady rate below the bound is none, above it is one, and that it is over soon after."""
    for factor, expected in ((0.5, False), (2.0, True)):
        crowd = Crowd()
        moments = [index / (CROWD_PER_SECOND * factor) for index in range(100)]
        assert [crowd.joined(1, moment) for moment in moments][-1] is expected
        assert crowd.joined(1, moments[-1] + 5 * MEMORY_SECONDS) is False


def operation(items: int, *, fresh: bool) -> Operation:
    """So many items, of new jobs or of changes."""
    loop = asyncio.get_running_loop()
    return Operation(each, [None] * items, loop.create_future(), at_once=(lambda *_: None) if fresh else None)


async def test_new_jobs_wait_in_a_crowd_and_a_change_takes_them_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that a lone new job goes at once, that a crowd waits, and that a change ends the wait for all."""
    monkeypatch.setattr(sqlite_inbox, "GATHER_SECONDS", 3600)
    inbox = Inbox(asyncio.get_running_loop())
    lone, crowd, change = operation(1, fresh=True), operation(CROWD_ITEMS, fresh=True), operation(1, fresh=False)
    inbox.put(lone)
    await asyncio.sleep(0)
    assert inbox.next(0) == [lone]
    inbox.put(crowd)
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        inbox.next(0)
    inbox.put(change)
    await asyncio.sleep(0)
    assert inbox.next(0) == [crowd, change]


async def test_a_wait_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that a crowd that nobody joins any more is handed over when its time is up."""
    monkeypatch.setattr(sqlite_inbox, "GATHER_SECONDS", 0.0)
    inbox = Inbox(asyncio.get_running_loop())
    crowd = operation(CROWD_ITEMS, fresh=True)
    inbox.put(crowd)
    assert await asyncio.to_thread(inbox.next, None) == [crowd]
