"""When the service counts as ready: while it can draw what requests ask for that name no model."""

import asyncio

from mezzotint.inference.models.repository import Repository
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.runtime.server import Server


async def follow(server: Server, service: str, repository: Repository, changed: asyncio.Event, ready: asyncio.Event) -> None:
    """Load all models; from then on be ready exactly while the default one is loaded. `ready` is set the first time it is."""
    await repository.load_all()
    while True:
        await changed.wait()
        changed.clear()
        if repository.serves_default:
            await server.readiness.ready(service)
            ready.set()
        else:
            await server.readiness.unready(service)


async def follow_tensors(server: Server, service: str, repository: TensorRepository) -> None:
    """Load all tensor models; the service is ready then, without those that were refused."""
    await repository.load_all()
    await server.readiness.ready(service)
