"""Builds the worker that takes jobs from the queue: the part of app that a service without a queue does not need."""

from contextlib import AsyncExitStack

from mezzotint.api.queue.v1.queue_pb2_grpc import QueueServiceStub
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.work.worker import Worker
from mezzotint.inference.work.worker_name import worker_name
from mezzotint.runtime import channel, clock
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.tls import Identity


async def build_worker(
    settings: InferenceSettings, identity: Identity, painter: Painter, capacity: Capacity, stack: AsyncExitStack
) -> Worker:
    """The worker of the queue at `queue_address`; what it needs is closed with `stack`."""
    queue = await stack.enter_async_context(channel.connect(settings.queue_address, "queue", identity))
    name = settings.worker_id or stack.enter_context(worker_name(settings.data / "inference", clock.new_id))
    blobs = Blobs.open(settings.blobs_url, settings.data)
    # Only there somebody makes way, and has it all when he goes on.
    priorities = settings.priorities if settings.mode == "step" and settings.aside_max else None
    return Worker(QueueServiceStub(queue), name, painter, blobs, capacity, clock.SystemClock(), priorities)
