"""What can be done with a queue, in any order, for Hypothesis to choose from."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mezzotint.queue.job import Failure, FailureClass, JobState
from tests.queue.over_wire.driver import Driver
from tests.queue.over_wire.model import BROKE

# Draws a value from a strategy.
Draw = Callable[[st.SearchStrategy[Any]], Any]
INDEX = st.integers(0, 5)
TIERS = st.sampled_from(("free", "pro"))
ANY_TIER = st.sampled_from(("", "free", "pro"))
LABELS = st.sampled_from(({}, {}, {"app": "studio"}, {"app": "studio", "team": "a"}, {"later": "5"}))
REASONS = st.sampled_from(("", "", "JOB_FAILED", "MODEL_NOT_FOUND"))
# Redriven jobs start 1.53 s after one another, as the queue may be up to 50 ms late: no time that passes ends within those.
PER_SECOND = 1 / 1.53
HOPELESS = Failure(FailureClass.PERMANENT, "MODEL_NOT_FOUND", "no")
FAILURES = st.sampled_from((BROKE, BROKE, HOPELESS, Failure(FailureClass.WORKER_LOST, "JOB_FAILED", "")))
# Other bodies under the request id of a job.
OTHERS: tuple[dict[str, Any], ...] = ({}, {}, {"cost_ms": 2}, {"payload": b"x"}, {"labels": {"a": "b"}})
# The ways to go on, as often as they are to be taken. They are not rules of their own: of those Hypothesis leaves some out of
# each sequence, and a sequence without a worker that asks, gets and ends jobs shows little.
ALWAYS = {"enqueue": 8, "enqueue_for_later": 3, "pause": 1, "resume": 2, "advance": 4, "restart": 1, "list_jobs": 2}
# Whether jobs have failed is the queue's affair, which hands out what it likes; the ways to go on may not depend on it.
WITH_JOBS = {"enqueue_again": 4, "cancel": 2, "look": 5, "redrive": 2, "redrive_named": 2, "list_dead": 2}
ALONE = {"connect": 25}
AWAY_FROM_WORK = {"advance": 15}
CONNECTED = {"credit": 12, "beat": 2, "vanish": 1, "connect": 1}
AT_WORK = {"complete": 6, "fail": 8, "hand_back": 4, "leave_out": 2, "steal": 2, "cancel_running": 2, "restart": 4, "vanish": 2}
LATE = {"say_late": 4}


class WireMachine(RuleBasedStateMachine):
    """A method a way to go on, named as in the tables above; each does something with the queue and has it compared."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self.driver = Driver(Path(self._folder.name))
        self.model = self.driver.model
        self.asked: list[dict[str, Any]] = []
        self.do(self.driver.start())

    def do(self, call: Awaitable[None]) -> None:
        async def wait() -> None:
            await call

        self._runner.run(wait())

    def teardown(self) -> None:
        try:
            self.do(self.driver.close())
        finally:
            self._runner.close()
            self._folder.cleanup()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One way to go on."""
        ways = Counter(ALWAYS)
        ways.update(WITH_JOBS if self.model.jobs else {})
        ways.update(CONNECTED if self.model.connected else ALONE)
        if self.model.leases:
            ways.update(AT_WORK if self.model.connected else AWAY_FROM_WORK)
        if self.model.connected and self.model.over:
            ways.update(LATE)
        way = data.draw(st.sampled_from(list(ways.elements())), label="way")
        getattr(self, way)(lambda strategy: data.draw(strategy, label=way))

    def enqueue(self, draw: Draw) -> None:
        hurry = {"start_within": {"seconds": 6}} if draw(st.integers(0, 2)) == 2 else {}
        self._ask(tier=draw(TIERS), attempts_max=draw(st.integers(0, 2)), labels=draw(LABELS), **hurry)

    def enqueue_for_later(self, draw: Draw) -> None:
        seconds = draw(st.sampled_from((5, 40)))
        # The queue may be up to 50 ms late; no time that passes ends within those.
        moment = {"seconds": int(self.driver.clock.now()) + seconds, "nanos": 30_000_000}
        self._ask(tier=draw(TIERS), not_before=moment, labels={"later": str(seconds)})

    def _ask(self, **fields: Any) -> None:
        number = len(self.asked)
        self.asked.append({"request_id": f"r{number}", "payload": f"{number}".encode(), "cost_ms": 1} | fields)
        self.do(self.driver.enqueue(**self.asked[-1]))

    def enqueue_again(self, draw: Draw) -> None:
        self.do(self.driver.enqueue(**self.asked[-1 - draw(INDEX) % len(self.asked)] | draw(st.sampled_from(OTHERS))))

    def cancel(self, draw: Draw) -> None:
        self.do(self.driver.cancel(self._job(draw)))

    def look(self, draw: Draw) -> None:
        job_id = self._job(draw)
        self.do(self.driver.watch_on(job_id))
        self.do(self.driver.read(job_id))
        self.do(self.driver.watch_the_future(job_id))

    def list_jobs(self, draw: Draw) -> None:
        states = draw(st.sets(st.sampled_from(JobState)))
        self.do(self.driver.list_jobs(draw(ANY_TIER), states, draw(st.integers(1, 4)), draw(LABELS)))

    def list_dead(self, draw: Draw) -> None:
        self.do(self.driver.operator.list_dead(draw(ANY_TIER), draw(REASONS), draw(st.integers(1, 3))))

    def redrive(self, draw: Draw) -> None:
        self.do(self.driver.operator.redrive(draw(ANY_TIER), draw(REASONS), PER_SECOND))

    def redrive_named(self, draw: Draw) -> None:
        indices, other, whatever = draw(st.lists(INDEX, min_size=1, max_size=4)), self._job(draw), draw(st.integers(0, 3)) == 3
        failed = [job_id for job_id, job in self.model.jobs.items() if job.state is JobState.FAILED]
        named = [failed[-1 - index % len(failed)] for index in indices if failed]
        if whatever or not failed:
            named.append(other)
        self.do(self.driver.operator.redrive_named(list(dict.fromkeys(named)), PER_SECOND))

    def connect(self, draw: Draw) -> None:
        self.do(self.driver.worker.connect(sorted(self.model.leases)[: draw(st.integers(0, 4)) or None]))

    def credit(self, draw: Draw) -> None:
        self.do(self.driver.worker.credit(draw(st.integers(1, 3))))

    def beat(self, draw: Draw) -> None:
        self.do(self.driver.worker.beat())

    def vanish(self, draw: Draw) -> None:
        self.do(self.driver.worker.vanish())

    def leave_out(self, draw: Draw) -> None:
        self.do(self.driver.worker.beat(self._held(draw)))

    def complete(self, draw: Draw) -> None:
        self.do(self.driver.worker.complete(self._held(draw)))

    def fail(self, draw: Draw) -> None:
        self.do(self.driver.worker.fail(self._held(draw), draw(FAILURES)))

    def hand_back(self, draw: Draw) -> None:
        job = self.model.jobs[self._held(draw)]
        if job.attempt > 1 or job.expires_at > self.driver.clock.now():  # else it may start again or expire
            self.do(self.driver.worker.hand_back(job.job_id))

    def cancel_running(self, draw: Draw) -> None:
        self.do(self.driver.cancel(self._held(draw)))

    def steal(self, draw: Draw) -> None:
        self.do(self.driver.worker.steal(self._held(draw)))

    def say_late(self, draw: Draw) -> None:
        self.do(self.driver.worker.say_late(self.model.over[-1 - draw(INDEX) % len(self.model.over)]))

    def pause(self, draw: Draw) -> None:
        self.do(self.driver.operator.pause(draw(TIERS)))

    def resume(self, draw: Draw) -> None:
        self.do(self.driver.operator.resume(draw(TIERS)))

    def advance(self, draw: Draw) -> None:
        self.do(self.driver.advance(draw(st.sampled_from((1, 7, 23, 61)))))

    def restart(self, draw: Draw) -> None:
        self.do(self.driver.restart())

    def _job(self, draw: Draw) -> str:
        """One of the newest jobs."""
        index: int = draw(INDEX)
        return list(self.model.jobs)[-1 - index % len(self.model.jobs)]

    def _held(self, draw: Draw) -> str:
        """One of the jobs that the worker holds."""
        index: int = draw(INDEX)
        return sorted(self.model.leases)[index % len(self.model.leases)]

    @invariant()
    def every_job_is_as_it_must_be(self) -> None:
        self.do(self.driver.list_jobs())
