"""The operators' side of the queue, put together for app.py."""

import asyncio
from functools import partial

from mezzotint.queue import metrics
from mezzotint.queue.admin_service import QueueAdminService
from mezzotint.queue.census import Census
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.intake import Intake
from mezzotint.queue.job import Job
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.queue.operations import Operations
from mezzotint.queue.pauses import Pauses
from mezzotint.queue.redrive import Redriver
from mezzotint.queue.roster import Roster
from mezzotint.queue.scheduling import Scheduling
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.queue.stats import StatsBoard
from mezzotint.runtime.clock import Clock

# What the process serves: the callers' and workers' side, and this one.
SERVICES = [f"mezzotint.api.queue.v1.{name}" for name in ("QueueService", "QueueAdminService")]


class OperatorSide:
    """What operators see and do: figures, metrics, pauses, and the servicer of it all."""

    def __init__(
        self,
        jobs: OpenJobs,
        intake: Intake,
        ledger: Ledger,
        engine: SqliteEngine,
        roster: Roster,
        leases: LeaseTable,
        dispatcher: Dispatcher,
        scheduling: Scheduling,
        clock: Clock,
        draining: asyncio.Event,
    ) -> None:
        def apply(paused: frozenset[str]) -> None:
            scheduling.room.kinds.pause(paused)
            dispatcher.wake()

        def waited(job: Job) -> float:
            return clock.monotonic() - scheduling.room.steps.waits_since(job)

        policy, store = scheduling.policy, SqliteOperatorStore(engine)
        self.census = Census(policy.current.names(), clock, jobs.get, scheduling.room.steps.waits_since)
        self.pauses = Pauses(store, lambda: intake.tiers, apply)
        self.board = StatsBoard(self.census, scheduling.room, self.pauses, roster, draining)
        self.display = metrics.Display(self.board.read, clock)
        operations = Operations(roster, leases, engine, store)
        self.admin = QueueAdminService(operations, self.pauses, Redriver(intake, ledger, engine, store, clock), policy.reload)
        policy.followers += [intake.follow, lambda found: self.census.know(found.names())]
        jobs.listeners += [self.census.observe, partial(metrics.observe, waited)]
