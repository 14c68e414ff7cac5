"""From a request to its pictures: text encoding, denoising, decoding and encoding, told as events while it happens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, ImageRef
from mezzotint.inference import metrics
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.batching.denoising_loop import DenoisingLoop
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.pictures import stages
from mezzotint.inference.pictures.bill import Bill
from mezzotint.inference.pictures.canvas import Canvas
from mezzotint.inference.pictures.events import Drawn, Event, Progress, Started
from mezzotint.inference.pictures.image_input import ImageInput
from mezzotint.inference.pictures.input_store import InputStore, without_pictures
from mezzotint.inference.pictures.mailbox import Mailbox
from mezzotint.inference.pictures.preparing import Place, Preparing
from mezzotint.inference.sampling.guidance import rows_of
from mezzotint.runtime import telemetry
from mezzotint.runtime.errors import Cancelled, MezzotintError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Studio:
    """What all paintings share. `pool` encodes text and decodes pictures beside the denoising loop."""

    loop: DenoisingLoop
    embeddings: EmbeddingCache
    pool: Executor
    capacity: Capacity
    preparing: Preparing
    inputs: InputStore = field(default_factory=InputStore)


class Painting:
    """The pictures of one request under way: iterate over it for its events; errors end the iteration.

    `spec` has every default filled in, without the bytes of pictures; `steps` are made of each picture. `has_slot` is set
    once one of the pictures has or had a slot.
    """

    def __init__(self, spec: GenerationSpec, engine: Engine, studio: Studio, place: Place, priority: int = 0) -> None:
        self.spec = without_pictures(spec)
        self.steps = stages.steps_of(spec, engine.card)
        # With the bytes of its pictures, until they are read.
        self._asked = spec
        self._given: ImageInput | None = None
        self.model = engine.card.key
        self.has_slot = False
        self.bill = Bill()
        self._engine, self._studio, self._priority = engine, studio, priority
        # What it takes among pictures that are prepared.
        self._place = place
        self._rows_left = spec.images * rows_of(spec.guidance)
        self._events: Mailbox[Event] = Mailbox()
        self._task: asyncio.Task[None] | None = None

    def start(self, resources: ExitStack) -> None:
        """Begin; `resources` are closed when all is done. Called once, by the painter."""
        self._studio.capacity.take(self._rows_left)
        self._task = asyncio.create_task(self._draw())
        # Not a `finally` in the task: one that is cancelled before it ran for the first time runs none of its code.
        self._task.add_done_callback(lambda task: self._end(task, resources))

    def close(self) -> None:
        """Stop: its slots are free for the next call of the denoiser. Does nothing once it is over."""
        assert self._task is not None, "a painting is closed after it was started"
        self._task.cancel()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    @property
    def standing(self) -> tuple[int, int]:
        """Its priority, lower ones go first, and the rows of a call that its unfinished pictures take."""
        return self._priority, self._rows_left

    def joined(self) -> None:
        """One of the pictures has a slot."""
        if not self.has_slot:
            self.has_slot = True
            self.put(Started(self.spec))

    def put(self, event: Event) -> None:
        """Tell the reader."""
        steps_only = isinstance(event, Progress) and not event.preview
        self._events.put(event, replaces=event.image_index if isinstance(event, Progress) and steps_only else None)

    async def in_pool(self, work: Callable[[], Result]) -> Result:
        """Run blocking work beside the denoising loop, on the request's bill."""
        loop = asyncio.get_running_loop()
        result, ms = await loop.run_in_executor(self._studio.pool, stages.timed, work)
        self.bill.add_own(ms)
        return result

    def _end(self, task: asyncio.Task[None], resources: ExitStack) -> None:
        """All is done, or nothing more will be: give back what was taken, and let the reader know."""
        self._place.give_back()
        self._give_back(self._rows_left)
        resources.close()
        self._events.close(Cancelled("the painting was cancelled") if task.cancelled() else task.exception())

    async def _draw(self) -> None:
        """Prepare the pictures, then have each drawn, decoded and encoded."""
        about: dict[str, str | int] = {"model": self.model, "steps": self.steps, "images": self.spec.images}
        with telemetry.tracer.start_as_current_span("inference.paint", attributes=about):
            if self.spec.HasField("image"):
                with telemetry.tracer.start_as_current_span("inference.read"):
                    self._given, self._asked = await self._studio.inputs.read(self._asked, self.spec, self.in_pool), self.spec
            with telemetry.tracer.start_as_current_span("inference.prepare"):
                pictures = await self.in_pool(
                    lambda: stages.prepare(self.spec, self._engine, self._studio.embeddings, self._given)
                )
            # In the same turn of the event loop they are on the waiting list, which therefore has room for them.
            self._place.give_back()
            canvases = [Canvas(self, index, self._engine.sketch) for index in range(self.spec.images)]
            numbers = self._studio.loop.submit(self._engine, list(zip(pictures, canvases, strict=True)), self._priority)
            finishing = [asyncio.create_task(self._finish(canvas)) for canvas in canvases]
            try:
                await asyncio.gather(*finishing)
            finally:
                self._studio.loop.cancel(numbers)
                for task in finishing:
                    task.cancel()

    async def _finish(self, canvas: Canvas) -> None:
        """Wait for a picture's latents, decode and encode them."""
        with telemetry.tracer.start_as_current_span("inference.wait"):
            await canvas.in_slot.wait()
        with telemetry.tracer.start_as_current_span("inference.denoise"):
            latents = await canvas.latents
        self._studio.capacity.begin_decoding()
        self._give_back(rows_of(self.spec.guidance))
        try:
            with telemetry.tracer.start_as_current_span("inference.develop"):
                data = await self.in_pool(lambda: stages.develop(self.spec, self._engine, latents, self._given))
        except MezzotintError:
            metrics.PICTURES.labels("failed").inc()
            raise
        finally:
            self._studio.capacity.end_decoding()
            canvas.close()
        ref = ImageRef(format=self.spec.format, width=self.spec.width, height=self.spec.height, size_bytes=len(data))
        ref.seed = self.spec.seed + canvas.index
        metrics.PICTURES.labels("finished").inc()
        self.put(Drawn(canvas.index, data, ref))

    def _give_back(self, rows: int) -> None:
        """Let others have rows that pictures of this painting took."""
        self._rows_left -= rows
        self._studio.capacity.give_back(rows)
