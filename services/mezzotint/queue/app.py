"""The queue put together: the only place that constructs its parts."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

from mezzotint.api.queue.v1.queue_pb2_grpc import add_QueueServiceServicer_to_server
from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.census import Census
from mezzotint.queue.desk import Desk
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.ledger import Ledger, Room
from mezzotint.queue.policy import load
from mezzotint.queue.service import QueueService
from mezzotint.queue.settings import QueueSettings
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.upkeep import DRAIN_PART, FORGET_EVERY_SECONDS, Closing, Retention, every
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.work_stream import Floor
from mezzotint.runtime.clock import Clock, SystemClock, new_id
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity

SERVICE = "mezzotint.api.queue.v1.QueueService"


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
        tiers = load(settings.tiers)
        engine = await SqliteEngine.open(settings.data / "queue", settings.store_bytes_max)
        stack.push_async_callback(engine.close)
        background = Background()
        stack.push_async_callback(background.close)
        server = Server(settings, open_identity(settings.data, "queue", settings.hosts), [SERVICE])
        room = WaitingRoom(tiers)
        ledger = Ledger(
            engine, clock, new_id, [tier.name for tier in tiers], Room(settings.waiting_max, settings.account_waiting_max)
        )
        leases = LeaseTable(settings.lease_seconds, settings.grace_seconds)
        keeper = LeaseKeeper(ledger, leases, clock, background)
        dispatcher = Dispatcher(ledger, room, keeper, clock, background)
        hub = WatchHub(ledger, engine, clock, dispatcher.place, settings.place_seconds)
        census = Census([tier.name for tier in tiers])
        ledger.listeners.append(census.observe)
        backoff = Backoff(settings.backoff_seconds, settings.backoff_seconds_max, random.random)
        floor = Floor(
            ledger, keeper, dispatcher, hub, background, clock, backoff, settings.heartbeat_seconds, settings.lease_seconds
        )
        for job in await ledger.recover():
            for part in (dispatcher, keeper, census):
                part.restore(job)
        service = QueueService(Desk(ledger, engine, keeper, census, clock, server.draining), floor)
        server.add(add_QueueServiceServicer_to_server, service)
        closing = Closing(dispatcher, keeper, hub, settings.drain_seconds * DRAIN_PART)
        retention = Retention(engine, clock, settings.retention_seconds)
        upkeep = [
            background.spawn(every(settings.tick_seconds, keeper.tick)),
            background.spawn(every(settings.tick_seconds, dispatcher.tick)),
            background.spawn(every(FORGET_EVERY_SECONDS, retention.sweep)),
        ]
        background.spawn(closing.when(server.draining))
        await server.start()
        stack.push_async_callback(server.stop)
        await server.ready()
        started(server.port)
        stopping = background.spawn(stop.wait())
        ended, _ = await asyncio.wait([stopping, engine.failed, *upkeep], return_when=asyncio.FIRST_COMPLETED)
        for end in ended:
            end.result()
