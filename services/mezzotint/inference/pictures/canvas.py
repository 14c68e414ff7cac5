"""One picture of a painting while it is drawn: passes on what the denoising loop tells."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Protocol

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.batching.denoising_loop import Call
from mezzotint.inference.models.engine import Floats
from mezzotint.inference.pictures import pixels
from mezzotint.inference.pictures.bill import Bill
from mezzotint.inference.pictures.events import Event, Progress
from mezzotint.runtime import telemetry
from mezzotint.runtime.errors import MezzotintError


class Owner(Protocol):
    """The painting that a picture belongs to."""

    spec: GenerationSpec
    bill: Bill
    steps: int

    def joined(self) -> None:
        """One of its pictures has a slot."""
        ...

    def put(self, event: Event) -> None:
        """Tell whoever reads of the painting."""
        ...

    def in_pool(self, work: Callable[[], bytes]) -> Awaitable[bytes]:
        """Run blocking work beside the denoising loop."""
        ...


class Canvas:
    """See denoising.Listener. `in_slot` is set once it has or had a slot, `latents` comes true after the last step.

    `index` counts a request's pictures from 0.
    """

    def __init__(self, owner: Owner, index: int, sketch: Callable[[Floats], Floats]) -> None:
        self.index = index
        self.in_slot = asyncio.Event()
        self.latents: asyncio.Future[Floats] = asyncio.get_running_loop().create_future()
        self._owner, self._sketch = owner, sketch
        self._done = 0
        # The loop calls this from a context of its own; previews belong to the request's.
        self._context = copy_context()
        self._previews: set[asyncio.Task[None]] = set()

    def joined(self) -> None:
        """See Listener."""
        self.in_slot.set()
        self._owner.joined()

    def stepped(self, done: int, call: Call, preview: Floats | None) -> None:
        """See Listener. A step with a preview is told once the preview is encoded."""
        self._done = done
        self._owner.bill.add_call(call)
        if preview is None:
            self._tell(b"")
        else:
            task = asyncio.create_task(self._show(preview), context=self._context)
            self._previews.add(task)
            task.add_done_callback(self._previews.discard)

    def finished(self, latents: Floats) -> None:
        """See Listener."""
        if not self.latents.done():
            self.latents.set_result(latents)

    def failed(self, error: MezzotintError) -> None:
        """See Listener."""
        self.in_slot.set()
        if not self.latents.done():
            self.latents.set_exception(error)

    def close(self) -> None:
        """Forget previews that are not encoded yet: the picture itself comes now."""
        for task in self._previews:
            task.cancel()

    async def _show(self, latents: Floats) -> None:
        """Encode a preview and tell it, with the steps done by then: progress never goes back."""
        opaque = self._owner.spec.opaque
        with telemetry.tracer.start_as_current_span("inference.preview"):
            preview = await self._owner.in_pool(lambda: pixels.preview(self._sketch(latents[None])[0], opaque=opaque))
        self._tell(preview)

    def _tell(self, preview: bytes) -> None:
        self._owner.put(Progress(self.index, self._done, self._owner.steps, preview))
