"""Both engines against a model that is as simple as it gets: any changes, in any order, are found again as they were made."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Failure, FailureClass, Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.errors import MezzotintError, RequestIdReused
from tests.queue.records import NOW, admit, new

Value = TypeVar("Value")
BROKE = Failure(FailureClass.RETRYABLE, "JOB_FAILED", "it broke")
CHANGES: dict[str, Callable[[Job, float], Transition]] = {
    "admit": transitions.admit,
    "start": lambda job, now: transitions.start(job, "w1", now),
    "succeed": lambda job, now: transitions.succeed(job, "w1", job.token, b"done", now),
    "fail": lambda job, now: transitions.fail(job, "w1", job.token, BROKE, now, 60.0),
    "hand_back": lambda job, now: transitions.hand_back(job, "w1", job.token, now),
    "cancel": lambda job, now: transitions.cancel(job, "enough", now),
    "expire": transitions.expire,
}
BODIES: tuple[dict[str, Any], ...] = (
    {"cost_ms": 1},
    {"cost_ms": 2, "labels": (("order", "17"),)},
    {"cost_ms": 1, "not_before": NOW + 1e6},
)


def possible(job: Job, now: float) -> list[Transition]:
    """The changes that may come next; those that leave the job open more than once, so that jobs live for a while."""
    changes: list[Transition] = []
    for change in CHANGES.values():
        with suppress(MezzotintError, AssertionError):
            changes.append(change(job, now))
    return 4 * [change for change in changes if not change.job.state.final] + changes


class EngineMachine(RuleBasedStateMachine):
    """Changes jobs in an engine and in dictionaries, and compares."""

    sqlite = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.engine: Engine = self.do(self.open()) if self.sqlite else MemoryEngine()
        self.jobs: dict[str, Job] = {}
        self.events: dict[str, list[JobEvent]] = {}
        self.requests: dict[tuple[str, str], tuple[str, NewJob]] = {}
        self.now = NOW

    async def open(self) -> SqliteEngine:
        return await SqliteEngine.open(Path(self.folder.name))

    def do(self, call: Awaitable[Value]) -> Value:
        async def wait() -> Value:
            return await call

        return self.runner.run(wait())

    def teardown(self) -> None:
        if isinstance(self.engine, SqliteEngine):
            self.do(self.engine.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(account=st.sampled_from("ab"), request=st.integers(0, 3), body=st.sampled_from(BODIES), peak=st.booleans())
    def enqueue(self, account: str, request: int, body: dict[str, Any], peak: bool) -> None:
        asked = new(f"r{request}", account_id=account, **body)
        made = transitions.accept(asked, f"job_{len(self.jobs)}", self.now, "a peak" if peak else "")
        earlier = self.requests.get((account, asked.request_id))
        if earlier and earlier[1] != asked:
            with pytest.raises(RequestIdReused):
                self.do(admit(self.engine, made, asked))
            return
        kept = self.do(admit(self.engine, made, asked))
        assert kept.replayed == bool(earlier)
        if earlier:
            assert kept.job == self.jobs[earlier[0]]
            return
        assert kept.job == replace(made.job, number=kept.job.number)
        assert kept.job.number > max((job.number for job in self.jobs.values()), default=0)
        self.requests[account, asked.request_id] = (kept.job.job_id, asked)
        self.jobs[kept.job.job_id] = kept.job
        self.events[kept.job.job_id] = [made.event]

    @precondition(lambda self: self.unfinished())
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.unfinished()[-3:]))
        change = data.draw(st.sampled_from(possible(job, self.now)))
        self.now += 1
        running = change.job.state is JobState.RUNNING
        self.do(self.engine.start(change) if running else self.engine.commit(change))
        self.jobs[job.job_id] = change.job
        self.events[job.job_id].append(change.event)

    def unfinished(self) -> list[Job]:
        return [job for job in self.jobs.values() if not job.state.final]

    @precondition(lambda self: self.sqlite)
    @rule()
    def restart(self) -> None:
        assert isinstance(self.engine, SqliteEngine)
        self.do(self.engine.close())
        self.engine = self.do(self.open())
        assert self.do(self.engine.recover()) == self.unfinished()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), account=st.sampled_from(("", "a", "b")), states=st.sets(st.sampled_from(JobState)))
    def search(self, data: st.DataObject, account: str, states: set[JobState]) -> None:
        before = data.draw(st.integers(0, len(self.jobs) + 1))
        query = JobQuery(account, frozenset(states), before, 3)
        asked = [
            job
            for job in sorted(self.jobs.values(), key=lambda job: -job.number)
            if account in ("", job.account_id) and (not states or job.state in states) and not (before and job.number >= before)
        ]
        assert self.do(self.engine.search(query)) == asked[:3]

    @invariant()
    def everything_is_found_again(self) -> None:
        for job_id, job in self.jobs.items():
            result = b"done" if job.state is JobState.SUCCEEDED else b""
            assert self.do(self.engine.find(job_id)) == (job, result)
            assert self.do(self.engine.events(job_id, 0)) == self.events[job_id]


@pytest.mark.parametrize("sqlite", [False, True])
def test_an_engine_keeps_what_a_dictionary_would(sqlite: bool) -> None:
    """Ensures that both engines give back every job, event and page as they were kept, over restarts too."""
    machine = type("Machine", (EngineMachine,), {"sqlite": sqlite})
    checks = settings(
        max_examples=25 if sqlite else 60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=checks)
