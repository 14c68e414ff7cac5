"""Builds the inference service and runs it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial

from mezzotint.api.inference.v1 import inference_pb2_grpc
from mezzotint.api.open_inference.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server as add_open
from mezzotint.inference import readiness
from mezzotint.inference.batching import modes
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.batching.denoising_loop import DenoisingLoop
from mezzotint.inference.curves.file import CurveFile
from mezzotint.inference.curves.row_caps import RowCaps
from mezzotint.inference.graphs.memory import memory_of
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.models.repository import Repository
from mezzotint.inference.open_inference.infer import OpenInference
from mezzotint.inference.open_inference.service import OpenInferenceServicer
from mezzotint.inference.pictures.input_store import InputStore
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.pictures.painting import Studio
from mezzotint.inference.pictures.preparing import Preparing
from mezzotint.inference.service import InferenceServicer
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.inference.worker_app import build_worker
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity

SERVICE, OPEN = "mezzotint.api.inference.v1.InferenceService", "inference.GRPCInferenceService"


async def run(settings: InferenceSettings, stop: asyncio.Event, started: Callable[[int], None] = lambda port: None) -> None:
    """Serve until `stop` is set; `started` is told the port once the models are loaded and the default one draws."""
    identity = open_identity(settings.data, "inference", settings.hosts)
    server, changed, ready = Server(settings, identity, [SERVICE, OPEN]), asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(settings.pool_threads, "pool"))
        thread = stack.enter_context(ThreadPoolExecutor(1, "denoiser"))
        rows = settings.rows or settings.rows_max
        file = CurveFile(settings.data / "inference/curves.json")
        caps = RowCaps(file, settings.rows_max, settings.threads, settings.rows, thread, again=settings.measure_again)
        scheduler = modes.scheduler(settings.mode, rows, settings.waiting_max, settings.aside_max)
        loop = DenoisingLoop(scheduler, thread, rows, caps.of)
        capacity, preparing = Capacity(rows, caps.least, settings.calls_held), Preparing(loop, settings.given_mib_max)
        inputs = InputStore(Blobs.open(settings.blobs_url, settings.data))
        studio = Studio(loop, EmbeddingCache(settings.embeddings_max), pool, capacity, preparing, inputs)
        open_model = caps.learning(partial(OnnxEngine, threads=settings.threads, rows_max=rows))
        memory = memory_of(settings.model_memory_mib, settings.memory_mib)
        repository = Repository(
            settings.models, settings.default_model, open_model, pool, memory, changed.set, studio.embeddings.forget
        )
        painter = Painter(repository, studio, settings.priorities)
        worker = await build_worker(settings, identity, painter, capacity, stack) if settings.queue_address else None
        server.add(inference_pb2_grpc.add_InferenceServiceServicer_to_server, InferenceServicer(painter, repository))
        tensor_pool = stack.enter_context(ThreadPoolExecutor(settings.tensor_threads, "tensors"))
        tensors = TensorRepository(settings.tensor_models, tensor_pool, memory)
        inference = OpenInference(tensors, tensor_pool, settings.tensor_mib_max, settings.message_bytes_max)
        server.add(add_open, OpenInferenceServicer(tensors, inference, server.draining))
        await server.start()

        async def work() -> None:
            await ready.wait()
            started(server.port)
            if worker is not None:
                await worker.run(settings.drain_seconds)

        async with asyncio.TaskGroup() as tasks:
            follow = readiness.follow(server, SERVICE, repository, changed, ready)
            parts = (loop.run(), work(), follow, readiness.follow_tensors(server, OPEN, tensors))
            background = [tasks.create_task(part) for part in parts]
            await stop.wait()
            await asyncio.gather(server.stop(), *([worker.drain(settings.drain_seconds)] if worker else []))
            for task in background:
                task.cancel()
