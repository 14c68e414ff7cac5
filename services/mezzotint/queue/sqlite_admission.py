"""Which of the jobs that come at once are new, and which were accepted before or cannot be."""

from collections.abc import Mapping, Sequence

import apsw
from msgspec.structs import replace

from mezzotint.queue import sqlite_changes, sqlite_fresh, sqlite_redrive, sqlite_rows
from mezzotint.queue.engine import Candidate, Enqueued
from mezzotint.queue.job import NewJob
from mezzotint.queue.sqlite_changes import Entry
from mezzotint.queue.sqlite_store import SqliteStore
from mezzotint.runtime.errors import MezzotintError, RequestIdReused, StorageFull

STORAGE_RETRY_SECONDS = 30.0
# What a job is taken to need in the database besides its payload, before it is known.
JOB_BYTES = 1200
MEASURE_AGAIN_PART = 15 / 16

FIND_REQUESTS = (
    "SELECT r.account_id, r.request_id, r.number, r.fingerprint FROM ({rows}) v"
    " CROSS JOIN registry r ON r.account_id = v.column1 AND r.request_id = v.column2"
)
# Requests that were accepted before, by account and request id: the number of the job and its fingerprint.
Requests = Mapping[tuple[str, str], tuple[int, bytes]]


class Admission:
    """Judges new jobs and writes those that are accepted. On the writing thread, inside a transaction."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._room = Room(store)

    def admit(self, connection: apsw.Connection, candidates: Sequence[Candidate]) -> list[Enqueued | MezzotintError]:
        """A group of the writer: what becomes of each."""
        kept = _find_requests(connection, [candidate.new for candidate in candidates])
        batch = Batch(connection, self._store, self._room, kept)
        outcomes = [batch.judge(candidate) for candidate in candidates]
        sqlite_changes.insert(connection, batch.entries)
        return outcomes

    def admit_at_once(
        self, connection: apsw.Connection, candidates: Sequence[Candidate]
    ) -> list[Enqueued | MezzotintError] | None:
        """The same in one statement, if they are few, all are accepted, and no request was accepted before."""
        if len(candidates) > sqlite_fresh.ROWS_MAX or any(each.refusal or each.new.redrives for each in candidates):
            return None
        batch = Batch(connection, self._store, self._room, {})
        outcomes = [batch.judge(candidate) for candidate in candidates]
        if any(isinstance(outcome, MezzotintError) for outcome in outcomes):
            return None
        try:
            sqlite_fresh.insert(connection, batch.entries)
        except apsw.ConstraintError:
            return None
        return outcomes


class Room:
    """What new jobs may still take, measured again once a part of it is given away: to ask takes as long as to write a job."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._measured = self._left = 0.0

    def take(self, size: int) -> bool:
        """There is room for so many bytes of payload and all that belongs to a job; they are given away."""
        if self._left <= self._measured * MEASURE_AGAIN_PART:
            self._measured = self._left = self._store.bytes_left()
        if self._left <= 0:
            return False
        self._left -= size + JOB_BYTES
        return True


class Batch:
    """The jobs of one transaction; `entries` are those to be written. `kept` are requests that were accepted before."""

    def __init__(self, connection: apsw.Connection, store: SqliteStore, room: Room, kept: Requests) -> None:
        self.entries: list[Entry] = []
        self._connection = connection
        self._store = store
        self._kept = kept
        self._made: dict[tuple[str, str], Entry] = {}
        self._room = room

    def judge(self, candidate: Candidate) -> Enqueued | MezzotintError:
        """What becomes of one; nothing is written for one that is refused."""
        new, key = candidate.new, (candidate.new.account_id, candidate.new.request_id)
        fingerprint = new.fingerprint()
        try:
            return self._earlier(key, fingerprint) or self._accept(candidate, key, fingerprint)
        except MezzotintError as error:
            return error

    def _earlier(self, key: tuple[str, str], fingerprint: bytes) -> Enqueued | None:
        """The job that a request with this account and id made before, or made a moment ago in this batch."""
        if made := self._made.get(key):
            require_same(made.fingerprint, fingerprint, key)
            return Enqueued(made.job, replayed=True)
        if kept := self._kept.get(key):
            require_same(kept[1], fingerprint, key)
            return Enqueued(sqlite_changes.find(self._connection, kept[0]), replayed=True)
        return None

    def _accept(self, candidate: Candidate, key: tuple[str, str], fingerprint: bytes) -> Enqueued:
        accepted, new = candidate.accepted, candidate.new
        if candidate.refusal:
            raise candidate.refusal
        if not self._room.take(len(new.payload)):
            raise StorageFull("the queue's store is full; try again later", retry_after=STORAGE_RETRY_SECONDS)
        if new.redrives:
            sqlite_redrive.require_dead(self._connection, new.redrives)
            sqlite_redrive.mark_redriven(self._connection, new.redrives, accepted.job.job_id)
        job = replace(accepted.job, number=self._store.next_number())
        self._made[key] = entry = Entry(job, new, fingerprint, accepted.event)
        self.entries.append(entry)
        return Enqueued(job, replayed=False)


def require_same(made: bytes, fingerprint: bytes, key: tuple[str, str]) -> None:
    """Raises RequestIdReused when a request id comes again with another job."""
    if made != fingerprint:
        raise RequestIdReused(f"request id {key[1]!r} was used for another job; choose a new one")


def _find_requests(connection: apsw.Connection, news: Sequence[NewJob]) -> Requests:
    """The numbers and fingerprints of the jobs that earlier requests with these accounts and ids made."""
    keys = [(new.account_id, new.request_id) for new in news]
    rows = sqlite_rows.read(connection, FIND_REQUESTS, keys)
    return {(account_id, request_id): (number, fingerprint) for account_id, request_id, number, fingerprint in rows}
