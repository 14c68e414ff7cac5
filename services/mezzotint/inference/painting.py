"""From a request to its pictures: text encoding, denoising, decoding and encoding, told as events while it happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, ImageRef
from mezzotint.inference import metrics, pixels
from mezzotint.inference.canvas import Canvas
from mezzotint.inference.capacity import Capacity
from mezzotint.inference.denoising import Call, DenoisingLoop
from mezzotint.inference.embeddings import EmbeddingCache
from mezzotint.inference.engine import Engine, Floats
from mezzotint.inference.events import Drawn, Event, Progress, Started
from mezzotint.inference.guidance import rows_of
from mezzotint.inference.lane import Picture
from mezzotint.inference.mailbox import Mailbox
from mezzotint.inference.noise import noise
from mezzotint.inference.request import preview_steps
from mezzotint.runtime.errors import Cancelled, Internal, MezzotintError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Studio:
    """What all paintings share. `pool` encodes text and decodes pictures beside the denoising loop."""

    loop: DenoisingLoop
    embeddings: EmbeddingCache
    pool: Executor
    capacity: Capacity


class Painting:
    """The pictures of one request under way: iterate over it for its events; errors end the iteration.

    `spec` has every default filled in. `model_ms` counts every call the request took part in, in full; `cost_ms` only its
    rows' share of them.
    """

    def __init__(self, spec: GenerationSpec, engine: Engine, studio: Studio) -> None:
        self.spec = spec
        self.model = engine.card.key
        self.has_slot = False
        self.model_ms = self.cost_ms = 0.0
        self._engine, self._studio = engine, studio
        self._rows_left = spec.images * rows_of(spec.guidance)
        self._events: Mailbox[Event] = Mailbox()
        self._last_call = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, resources: ExitStack) -> None:
        """Begin; `resources` are closed when all is done. Called once, by the painter."""
        self._studio.capacity.take(self._rows_left)
        self._task = asyncio.create_task(self._draw())
        # Not a `finally` in the task: one that is cancelled before it ran for the first time runs none of its code.
        self._task.add_done_callback(lambda task: self._end(task, resources))

    def cancel(self) -> None:
        """Stop: its slots are free for the next call of the denoiser. Does nothing once it is over."""
        assert self._task is not None, "a painting is cancelled after it was started"
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    def joined(self) -> None:
        """One of the pictures has a slot."""
        if not self.has_slot:
            self.has_slot = True
            self.put(Started(self.spec))

    def took_part(self, call: Call) -> None:
        """Count a call of the denoiser: in full once, however many of the pictures were in it."""
        self.model_ms += call.ms if call.number != self._last_call else 0.0
        self.cost_ms += call.share_ms
        self._last_call = call.number

    def put(self, event: Event) -> None:
        """Tell the reader."""
        steps_only = isinstance(event, Progress) and not event.preview
        self._events.put(event, replaces=event.image_index if isinstance(event, Progress) and steps_only else None)

    async def in_pool(self, work: Callable[[], Result]) -> Result:
        """Run blocking work beside the denoising loop."""
        return await asyncio.get_running_loop().run_in_executor(self._studio.pool, work)

    def _end(self, task: asyncio.Task[None], resources: ExitStack) -> None:
        """All is done, or nothing more will be: give back what was taken, and let the reader know."""
        self._give_back(self._rows_left)
        resources.close()
        self._events.close(Cancelled("the painting was cancelled") if task.cancelled() else task.exception())

    async def _draw(self) -> None:
        """Prepare the pictures, then have each drawn, decoded and encoded."""
        pictures = self._count(await self.in_pool(lambda: timed(self._prepare)))
        canvases = [Canvas(self, index) for index in range(self.spec.images)]
        numbers = self._studio.loop.submit(self._engine, list(zip(pictures, canvases, strict=True)))
        finishing = [asyncio.create_task(self._finish(canvas)) for canvas in canvases]
        try:
            await asyncio.gather(*finishing)
        finally:
            self._studio.loop.cancel(numbers)
            for task in finishing:
                task.cancel()

    async def _finish(self, canvas: Canvas) -> None:
        """Wait for a picture's latents, decode and encode them."""
        latents = await canvas.latents
        self._studio.capacity.begin_decoding()
        self._give_back(rows_of(self.spec.guidance))
        try:
            data = self._count(await self.in_pool(lambda: timed(lambda: self._develop(latents))))
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

    def _prepare(self) -> list[Picture]:
        """The pictures at their beginning. Blocks."""
        spec = self.spec
        prompt, negative = self._studio.embeddings.embed(self._engine, [spec.prompt, spec.negative_prompt])
        due, latent = preview_steps(spec.steps, spec.previews), self._engine.card.latent
        return [
            Picture(noise(spec.seed + index, latent), spec.steps, spec.guidance, prompt, negative, due)
            for index in range(spec.images)
        ]

    def _develop(self, latents: Floats) -> bytes:
        """Final latents (C, H, W) as an encoded picture. Blocks."""
        decoded = self._engine.decode(latents[None])[0]
        if not np.isfinite(decoded).all():
            raise Internal("the decoder's pixels are not numbers")
        return pixels.encode(decoded, self.spec.format, opaque=self.spec.opaque)

    def _give_back(self, rows: int) -> None:
        """Let others have rows that pictures of this painting took."""
        self._rows_left -= rows
        self._studio.capacity.give_back(rows)

    def _count(self, result: tuple[Result, float]) -> Result:
        """Count work that was this request's alone; its milliseconds are the second part of `result`."""
        self.model_ms += result[1]
        self.cost_ms += result[1]
        return result[0]


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of blocking work and the milliseconds it took, without any wait for a thread."""
    began = time.perf_counter()
    return work(), (time.perf_counter() - began) * 1e3
