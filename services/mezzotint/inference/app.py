"""Builds the inference service and runs it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from mezzotint.api.inference.v1 import inference_pb2_grpc
from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceStub
from mezzotint.inference.capacity import Capacity
from mezzotint.inference.denoising import DenoisingLoop
from mezzotint.inference.embeddings import EmbeddingCache
from mezzotint.inference.onnx_engine import OnnxEngine
from mezzotint.inference.painter import Painter
from mezzotint.inference.painting import Studio
from mezzotint.inference.repository import Repository
from mezzotint.inference.scheduler import SlotScheduler
from mezzotint.inference.service import InferenceServicer
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.worker import Worker
from mezzotint.inference.worker_name import worker_name
from mezzotint.runtime import channel, clock
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity

SERVICE = "mezzotint.api.inference.v1.InferenceService"


async def run(settings: InferenceSettings, stop: asyncio.Event, started: Callable[[int], None] = lambda port: None) -> None:
    """Serve until `stop` is set; `started` is told the port once the default model draws."""
    identity = open_identity(settings.data, "inference", settings.hosts)
    server, changed = Server(settings, identity, [SERVICE]), asyncio.Event()

    def open_model(folder: Path) -> OnnxEngine:
        return OnnxEngine(folder, threads=settings.threads, rows_max=settings.rows_max)

    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(settings.pool_threads, "pool"))
        thread = stack.enter_context(ThreadPoolExecutor(1, "denoiser"))
        loop = DenoisingLoop(SlotScheduler(settings.rows_max), thread, settings.rows_max)
        studio = Studio(loop, EmbeddingCache(settings.embeddings_max), pool, Capacity(settings.rows_max))
        repository = Repository(
            settings.models, settings.default_model, open_model, pool, changed=changed.set, let_go=studio.embeddings.forget
        )
        painter = Painter(repository, studio)
        server.add(inference_pb2_grpc.add_InferenceServiceServicer_to_server, InferenceServicer(painter, repository))
        queue = await stack.enter_async_context(channel.connect(settings.queue_address or "127.0.0.1:1", "queue", identity))
        worker_id = settings.worker_id or stack.enter_context(worker_name(settings.data / "inference", clock.new_id))
        blobs = Blobs.open(settings.blobs_url, settings.data)
        worker = Worker(QueueServiceStub(queue), worker_id, painter, blobs, studio.capacity, clock.SystemClock())
        await server.start()
        async with asyncio.TaskGroup() as tasks:
            ready = asyncio.Event()
            background = [
                tasks.create_task(loop.run()),
                tasks.create_task(tell_readiness(server, repository, changed, ready)),
                tasks.create_task(work(worker, settings, ready)),
                tasks.create_task(announce(server, ready, started)),
            ]
            await stop.wait()
            await asyncio.gather(worker.drain(settings.drain_seconds), server.stop())
            for task in background:
                task.cancel()


async def tell_readiness(server: Server, repository: Repository, changed: asyncio.Event, ready: asyncio.Event) -> None:
    """Load all models, then be ready exactly while the default one is loaded; `ready` is set the first time it is."""
    await repository.load_all()
    while True:
        await changed.wait()
        changed.clear()
        if repository.serves_default:
            await server.ready()
            ready.set()
        else:
            await server.readiness.unready(SERVICE)


async def announce(server: Server, ready: asyncio.Event, started: Callable[[int], None]) -> None:
    """Tell `started` the port, once."""
    await ready.wait()
    started(server.port)


async def work(worker: Worker, settings: InferenceSettings, ready: asyncio.Event) -> None:
    """Take work from the queue, if there is one, once the default model draws."""
    await ready.wait()
    if settings.queue_address:
        await worker.run(settings.drain_seconds)
