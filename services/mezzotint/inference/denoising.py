"""The loop that draws: decide who shares the next call, make it in the one thread for calls, tell everybody how far they are.

Lives on the event loop, but for the calls themselves. Nothing else is done between two calls: texts are encoded and pictures
decoded elsewhere, and listeners only take note.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from mezzotint.inference import metrics
from mezzotint.inference.engine import Engine, Floats
from mezzotint.inference.lane import Lane, Picture, Stepped
from mezzotint.inference.scheduler import Batch, Seat, SlotScheduler, Ticket
from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal, MezzotintError

log = logging.get(__name__)


@dataclass(frozen=True)
class Call:
    """A call of the denoiser that a picture was in: its milliseconds, and the part of them due to the picture's rows."""

    number: int
    ms: float
    share_ms: float


class Listener(Protocol):
    """Whoever waits for a picture. Called on the event loop between two calls of the denoiser, so it must be quick."""

    def joined(self) -> None:
        """The picture has a slot; its first step comes next."""
        ...

    def stepped(self, done: int, call: Call, preview: Floats | None) -> None:
        """`done` steps are made; `preview` is the estimated final latents (C, H, W) when one is due."""
        ...

    def finished(self, latents: Floats) -> None:
        """The last step is made: the final latents (C, H, W). Nothing follows."""
        ...

    def failed(self, error: MezzotintError) -> None:
        """The picture cannot be drawn. Nothing follows."""
        ...


@dataclass(frozen=True)
class Entry:
    """A picture on its way, and who waits for it."""

    engine: Engine
    picture: Picture
    listener: Listener


class DenoisingLoop:
    """Draws pictures in slots. `thread` runs one call at a time; it must have a single thread."""

    def __init__(self, scheduler: SlotScheduler, thread: Executor, rows_max: int) -> None:
        self._scheduler = scheduler
        self._thread = thread
        self._rows_max = rows_max
        self._entries: dict[int, Entry] = {}
        self._lanes: dict[str, Lane] = {}
        self._numbers, self._calls = count(1), count(1)
        self._wake = asyncio.Event()

    def submit(self, engine: Engine, pictures: Sequence[tuple[Picture, Listener]], priority: int = 0) -> list[int]:
        """Draw pictures, all of one size, as slots come free: all or, with ServerOverloaded, none.

        Returns their numbers, for `cancel`.
        """
        shape = shape_of(engine, pictures[0][0])
        entries = {next(self._numbers): Entry(engine, picture, listener) for picture, listener in pictures}
        self._scheduler.add([Ticket(number, shape, e.picture.rows, e.picture.steps, priority) for number, e in entries.items()])
        self._entries.update(entries)
        self._wake.set()
        return list(entries)

    def expect(self, count: int) -> None:
        """Raise ServerOverloaded unless `count` more pictures may wait: to know before they are prepared."""
        self._scheduler.expect(count)

    def cancel(self, numbers: Sequence[int]) -> None:
        """Stop drawing pictures; their slots are free for the next call. Those that are done already are passed over."""
        for number in numbers:
            if self._entries.pop(number, None) and self._scheduler.cancel(number):
                metrics.PICTURES.labels("cancelled").inc()
        self._wake.set()

    async def run(self) -> None:
        """Draw until cancelled."""
        while True:
            batch = self._scheduler.schedule()
            metrics.SLOTS.set(self._scheduler.running)
            metrics.WAITING.set(self._scheduler.waiting)
            if batch is None:
                self._lanes.clear()
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._draw(batch)
            if len(self._lanes) > 1:
                self._drop_unused_lanes()

    async def _draw(self, batch: Batch) -> None:
        """Make one call and tell what came of it."""
        lane = self._lane(batch)
        for seat in batch.joined:
            entry = self._entries[seat.ticket.number]
            lane.join(seat.slot, entry.picture)
            entry.listener.joined()
        slots = [seat.slot for seat in batch.seats]
        try:
            stepped = await asyncio.get_running_loop().run_in_executor(self._thread, lane.step, slots)
        except MezzotintError as error:
            log.error("a step failed", shape=batch.shape, rows=sum(seat.ticket.rows for seat in batch.seats), error=str(error))
            self._fail(batch.seats, error)
            return
        except Exception as error:  # a defect costs the pictures of this call, not everybody's
            log.error("a step met a defect", shape=batch.shape, exc_info=error)
            self._fail(batch.seats, Internal("internal error; the worker's log holds the report"))
            return
        metrics.STEP_SECONDS.observe(stepped.ms / 1e3)
        metrics.ROWS.observe(stepped.rows)
        self._settle(batch, stepped)

    def _lane(self, batch: Batch) -> Lane:
        """The lane of a batch's shape, made when the shape is new."""
        if batch.shape not in self._lanes:
            self._lanes[batch.shape] = Lane(self._entries[batch.joined[0].ticket.number].engine, self._rows_max)
        return self._lanes[batch.shape]

    def _drop_unused_lanes(self) -> None:
        """Let go of models that nobody waits for any more, so that an unloaded one gives its memory back under load too."""
        used = {shape_of(entry.engine, entry.picture) for entry in self._entries.values()}
        self._lanes = {shape: lane for shape, lane in self._lanes.items() if shape in used}

    def _settle(self, batch: Batch, stepped: Stepped) -> None:
        """Tell every listener of a call that went well."""
        number = next(self._calls)
        broken = {seat.ticket.number for seat in batch.seats if seat.slot in stepped.broken}
        done = {ticket.number for ticket in self._scheduler.update(broken)}
        for seat in batch.seats:
            entry = self._entries.get(seat.ticket.number)
            if entry is None:
                continue
            if seat.ticket.number in broken:
                del self._entries[seat.ticket.number]
                metrics.PICTURES.labels("failed").inc()
                entry.listener.failed(Internal(f"the model's values are not numbers any more after step {seat.done + 1}"))
                continue
            call = Call(number, stepped.ms, stepped.ms * seat.ticket.rows / stepped.rows)
            entry.listener.stepped(seat.done + 1, call, stepped.previews.get(seat.slot))
            if seat.ticket.number in done:
                del self._entries[seat.ticket.number]
                entry.listener.finished(stepped.finished[seat.slot])

    def _fail(self, seats: Sequence[Seat], error: MezzotintError) -> None:
        """Free the slots of a call that failed and tell their listeners."""
        numbers = {seat.ticket.number for seat in seats}
        self._scheduler.update(numbers)
        for number in numbers:
            if entry := self._entries.pop(number, None):
                metrics.PICTURES.labels("failed").inc()
                entry.listener.failed(error)


def shape_of(engine: Engine, picture: Picture) -> str:
    """What pictures must agree in to share a call: engine and size. A model loaded again is another one than before."""
    return f"{engine.card.key}/{'x'.join(map(str, picture.noise.shape))}/{id(engine)}"
