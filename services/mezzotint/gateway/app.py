"""The gateway put together: the only place that constructs its parts."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from mezzotint.api.images.v1 import images_pb2_grpc
from mezzotint.gateway import accounts, revocations
from mezzotint.gateway.catalogue import Catalogue
from mezzotint.gateway.dependencies import NEEDED, Dependencies
from mezzotint.gateway.gallery import Gallery
from mezzotint.gateway.generation import Ports
from mezzotint.gateway.generations import Generations
from mezzotint.gateway.http.api import application
from mezzotint.gateway.http.door import HttpDoor
from mezzotint.gateway.http.parts import Parts
from mezzotint.gateway.identities import Identities
from mezzotint.gateway.jobs import Jobs
from mezzotint.gateway.quota import Quota
from mezzotint.gateway.service import ImageService
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.gateway.verified import CachingVerifier
from mezzotint.runtime import channel
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.clock import SystemClock, new_id
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity

SERVICES = ["mezzotint.api.images.v1.ImageService", "mezzotint.api.auth.v1.AccountService"]
Started = Callable[[int], None]


async def run(
    settings: GatewaySettings,
    stop: asyncio.Event,
    started: Started = lambda port: None,
    *,
    http_started: Started = lambda port: None,
) -> None:
    """Serve until `stop` is set. Raises OSError and StartRefused when it cannot start.

    `http_started` is told the HTTP port when it listens, `started` the gRPC port when all is ready.
    """
    clock, identity = SystemClock(), open_identity(settings.data, "gateway", settings.hosts)
    async with AsyncExitStack() as stack:
        channels = {name: channel.connect(address, name, identity) for name, address in settings.peers.items()}
        for opened in channels.values():
            stack.push_async_callback(opened.close)
        identities, jobs = Identities(channels["auth"]), Jobs(channels["queue"], clock)
        verifier = CachingVerifier(identities.authenticate, clock, entries_max=settings.credentials_max)
        catalogue, blobs = Catalogue(channels["inference"], clock), Blobs.open(settings.blobs_url, settings.data)
        generations = Generations(Ports(catalogue, Quota(channels["ratelimit"]), jobs, blobs, settings, new_id))
        stack.push_async_callback(generations.close)
        gallery, dependencies = Gallery(jobs, blobs), Dependencies({name: channels[name] for name in NEEDED}, clock)
        server = Server(settings, identity, SERVICES, verifier=verifier, public=True)
        server.add(images_pb2_grpc.add_ImageServiceServicer_to_server, ImageService(generations, gallery))
        server.add_handler(accounts.passing_on(channels["auth"]))
        parts = Parts(verifier, generations, gallery, catalogue, dependencies, server.draining, clock, settings)
        door = await stack.enter_async_context(HttpDoor(application(parts), settings).open())
        http_started(door.port)
        await server.start()
        try:
            following = revocations.follow(identities.watch, verifier), dependencies.follow(server, started)
            await until_end(stop, *following, generations.sweep())
        finally:
            await asyncio.gather(server.stop(), door.stop(), generations.drain(server.draining))


async def until_end(stop: asyncio.Event, *following: Coroutine[Any, Any, None]) -> None:
    """Run `following` until `stop` is set. Raises what one of them raises: none is to end by itself."""
    tasks = [asyncio.ensure_future(each) for each in (stop.wait(), *following)]
    try:
        for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
