"""The queue put together: the only place that constructs its parts."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

from mezzotint.api.queue.v1.admin_pb2_grpc import add_QueueAdminServiceServicer_to_server
from mezzotint.api.queue.v1.queue_pb2_grpc import add_QueueServiceServicer_to_server
from mezzotint.queue import metrics
from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.capacity import Capacity
from mezzotint.queue.desk import Desk
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.intake import Intake
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.queue.operator_side import SERVICES, OperatorSide
from mezzotint.queue.roster import Roster
from mezzotint.queue.scheduling import Scheduling
from mezzotint.queue.service import QueueService
from mezzotint.queue.settings import QueueSettings
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.upkeep import FORGET_EVERY_SECONDS, POLICY_EVERY_SECONDS, Closing, Retention, Upkeep
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.work_stream import Floor
from mezzotint.runtime.clock import Clock, SystemClock, new_id
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity


async def run(
    settings: QueueSettings,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda port: None,
    *,
    clock: Clock | None = None,
) -> None:
    """Serve until `stop` is set; `started` is told the port. Raises OSError when it cannot start or its store fails."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        scheduling = Scheduling(settings.tiers)
        room, jobs = scheduling.room, OpenJobs(Capacity(settings.waiting_max, settings.account_waiting_max))
        engine = await SqliteEngine.open(settings.data / "queue", settings.store_bytes_max, metrics.committed)
        stack.push_async_callback(engine.close)
        background = Background()
        stack.push_async_callback(background.close)
        server = Server(settings, open_identity(settings.data, "queue", settings.hosts), SERVICES)
        roster, leases = Roster(), LeaseTable(settings.lease_seconds, settings.grace_seconds)
        intake = Intake(engine, jobs, clock, new_id, scheduling.policy.current.names(), room.defers)
        ledger = Ledger(engine, jobs)
        endings = LeaseEndings(ledger, leases, clock, background, metrics.refused)
        keeper = LeaseKeeper(leases, roster, endings, clock)
        dispatcher = Dispatcher(ledger, room, leases, roster, endings, clock, background)
        hub = WatchHub(ledger, engine, clock, dispatcher.place, settings.place_seconds)
        jobs.listeners += [keeper.observe, dispatcher.observe, hub.observe]
        operators = OperatorSide(jobs, intake, ledger, engine, roster, leases, dispatcher, scheduling, clock, server.draining)
        await operators.pauses.load()
        await ledger.recover([keeper.restore, dispatcher.restore, operators.census.restore])
        backoff = Backoff(settings.backoff_seconds, settings.backoff_seconds_max, random.random)
        floor = Floor(intake, ledger, keeper, endings, dispatcher, hub, background, clock, backoff, settings.heartbeat_seconds)
        service = QueueService(Desk(intake, ledger, engine, clock, server.draining), floor, operators.board)
        server.add(add_QueueServiceServicer_to_server, service)
        server.add(add_QueueAdminServiceServicer_to_server, operators.admin)
        sweep = Retention(engine, clock, settings.retention_seconds).sweep
        chores = [(sweep, FORGET_EVERY_SECONDS), (scheduling.policy.look, POLICY_EVERY_SECONDS)]
        upkeep = Upkeep([keeper.tick, dispatcher.tick, operators.display.tick], settings.tick_seconds, chores)
        background.spawn(Closing(dispatcher, keeper, roster, hub, engine.failed, settings.drain_seconds).when(server.draining))
        await server.start()
        stack.push_async_callback(server.stop)
        await server.ready()
        started(server.port)
        ends = [background.spawn(stop.wait()), background.spawn(upkeep.run()), engine.failed]
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ended:
            end.result()
