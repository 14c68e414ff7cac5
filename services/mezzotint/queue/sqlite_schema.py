"""The tables of the SQLite engine, and rows as records.

`job` is hot and holds no finished job; a finished one moves to `finished`. What never changes lies in `registry`, large values
in `body`. `registry` keeps a request id from being used twice for as long as the job is kept.
"""

import json
from sys import intern
from typing import Any

from mezzotint.queue.job import Failure, FailureClass, Job, JobEvent, JobState, Labels

VERSION = 3
# Jobs whose numbers differ only in these bits lie together in the index by account, those of one account next to each other.
SEGMENT_BITS = 12
# Both indexes grow at their ends, where a transaction's rows fill few pages: request ids that begin with the time, as ULIDs do,
# come in order, and a segment is small. In order of account each row would be a page of its own, written and synced.
REGISTRY = f"""
CREATE TABLE registry (
  number INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL UNIQUE,
  account_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  tier TEXT NOT NULL,
  kind TEXT NOT NULL,
  cost_ms INTEGER NOT NULL,
  attempts_max INTEGER NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  labels TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX registry_request ON registry (request_id, account_id);
CREATE INDEX registry_account ON registry (number >> {SEGMENT_BITS}, account_id);
"""
TABLES = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
{REGISTRY}CREATE TABLE job (
  number INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  token INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  not_before REAL NOT NULL,
  started_at REAL
) STRICT;
CREATE TABLE finished (
  number INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  token INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  not_before REAL NOT NULL,
  started_at REAL,
  finished_at REAL NOT NULL,
  failure_class INTEGER,
  failure_reason TEXT,
  failure_message TEXT,
  redriven_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX finished_at ON finished (finished_at);
CREATE INDEX finished_badly ON finished (state, number) WHERE state > 4;
CREATE TABLE body (number INTEGER PRIMARY KEY, payload BLOB NOT NULL, result BLOB) STRICT;
CREATE TABLE event (
  number INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  at REAL NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  failure_class INTEGER,
  failure_reason TEXT,
  failure_message TEXT,
  PRIMARY KEY (number, sequence)
) STRICT, WITHOUT ROWID;
"""
# Since format 2.
ADDED = """
CREATE INDEX finished_dead ON finished (number) WHERE state = 5 AND redriven_by = '';
CREATE TABLE label (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (name, value, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE pause (tier TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
# What makes each older format the next one. New columns come last, so that a table is the same whenever it was made.
MIGRATIONS = {
    1: (
        """
ALTER TABLE registry ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE finished ADD COLUMN redriven_by TEXT NOT NULL DEFAULT '';
""",
        ADDED,
    ),
    # An index that belongs to a table's definition cannot be changed: the table is made again.
    2: (
        "DROP INDEX registry_account; ALTER TABLE registry RENAME TO registry_2;",
        REGISTRY,
        """
INSERT INTO registry SELECT number, job_id, account_id, request_id, fingerprint, tier, kind, cost_ms, attempts_max, created_at,
  expires_at, labels FROM registry_2 ORDER BY number;
DROP TABLE registry_2;
""",
    ),
}

COLUMNS = """
SELECT r.number, r.job_id, r.account_id, r.tier, r.kind, r.cost_ms, r.attempts_max, r.created_at, r.expires_at,
  j.state, j.sequence, j.attempt, j.token, j.worker_id, j.not_before, j.started_at, r.labels
"""
FINISHED_COLUMNS = f"{COLUMNS}, j.finished_at, j.failure_class, j.failure_reason, j.failure_message, j.redriven_by"
HOT_JOBS = f"{COLUMNS} FROM registry r JOIN job j USING (number)"
FINISHED_JOBS = f"{FINISHED_COLUMNS} FROM registry r JOIN finished j USING (number)"


STATES = {int(state): state for state in JobState}
COSTS_KEPT_MAX = 10_000
_costs: dict[int, int] = {}


def job_of(row: tuple[Any, ...]) -> Job:
    """The record of a row of HOT_JOBS or FINISHED_JOBS."""
    begun, ended = row[:17], row[17:]
    (
        number,
        job_id,
        account_id,
        tier,
        kind,
        cost_ms,
        attempts_max,
        created_at,
        expires_at,
        state,
        sequence,
        attempt,
        token,
        worker_id,
        not_before,
        started_at,
        labels,
    ) = begun
    finished_at, failure, redriven_by = (ended[0], failure_of(ended[1:4]), ended[4]) if ended else (None, None, "")
    return Job(
        number,
        job_id,
        # The same few names and numbers in up to a million records: they are kept once.
        intern(account_id),
        intern(tier),
        intern(kind),
        _costs.setdefault(cost_ms, cost_ms) if len(_costs) < COSTS_KEPT_MAX else cost_ms,
        attempts_max,
        created_at,
        expires_at,
        STATES[state],
        sequence,
        attempt,
        token,
        intern(worker_id),
        not_before or 0.0,
        started_at,
        finished_at,
        failure,
        labels_of(labels),
        redriven_by,
    )


def labels_of(column: Any) -> Labels:
    """The labels in their column."""
    return tuple(json.loads(column).items()) if column else ()


def labels_column(labels: Labels) -> str:
    """Labels as their column; in the order of their names."""
    return json.dumps(dict(labels), separators=(",", ":")) if labels else ""


def failure_of(columns: tuple[Any, ...]) -> Failure | None:
    """The failure in three columns, if there is one."""
    failure_class, reason, message = columns
    return None if failure_class is None else Failure(FailureClass(failure_class), reason, message)


def failure_columns(failure: Failure | None) -> tuple[int | None, str | None, str | None]:
    """A failure as three columns."""
    return (int(failure.failure_class), failure.reason, failure.message) if failure else (None, None, None)


def event_of(row: tuple[Any, ...], result: bytes) -> JobEvent:
    """The record of a row of `event` without its number; the result belongs to SUCCEEDED only."""
    sequence, at, state, attempt, worker_id = row[:5]
    final = JobState(state) is JobState.SUCCEEDED
    return JobEvent(sequence, at, JobState(state), attempt, worker_id, failure_of(row[5:]), result if final else b"")
