"""The loop that draws: decide who shares the next call, make it in the one thread for calls, tell everybody how far they are.

Lives on the event loop, but for the calls themselves. Nothing else is done between two calls: texts are encoded and pictures
decoded elsewhere, and listeners only take note.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from mezzotint.inference import metrics
from mezzotint.inference.batching.lane import Aside, Lane, Picture, Stepped, shape_of
from mezzotint.inference.batching.meter import Meter
from mezzotint.inference.batching.scheduler import Batch, Scheduler, Seat, Ticket
from mezzotint.inference.models.engine import Engine, Floats
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
        """The picture has a slot; its first step comes next. Told once, also when it has to leave the slot for a while."""
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


@dataclass
class Entry:
    """A picture on its way, who waits for it since when, the steps it made, and its state while it is aside."""

    engine: Engine
    picture: Picture
    listener: Listener
    meter: Meter
    submitted: float = field(default_factory=time.perf_counter)
    done: int = 0
    aside: Aside | None = None


class DenoisingLoop:
    """Draws pictures in slots. `thread` runs one call at a time; it must have a single thread.

    A call has `rows_max` rows at most, or fewer where `cap` says so, asked with an engine and the shape of its latents.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        thread: Executor,
        rows_max: int,
        cap: Callable[[Engine, str], int] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._thread = thread
        self._rows_max = rows_max
        self._cap = cap or (lambda engine, shape: rows_max)
        self._entries: dict[int, Entry] = {}
        self._lanes: dict[str, Lane] = {}
        self._meters: dict[str, Meter] = {}
        self._numbers, self._calls = count(1), count(1)
        self._wake = asyncio.Event()

    def submit(self, engine: Engine, pictures: Sequence[tuple[Picture, Listener]], priority: int = 0) -> list[int]:
        """Draw pictures, all of one size, as slots come free: all or, with ServerOverloaded, none.

        A lower `priority` goes first, and may take the slots of pictures with a higher one. Returns the pictures' numbers, for
        `cancel`.
        """
        latents = shape_of(pictures[0][0])
        shape, cap = f"{engine.card.key}/{latents}/{id(engine)}", min(self._rows_max, self._cap(engine, latents))
        numbers = [next(self._numbers) for _ in pictures]
        self._scheduler.add(
            [
                Ticket(number, shape, picture.rows, picture.steps, priority, cap)
                for number, (picture, _) in zip(numbers, pictures, strict=True)
            ]
        )
        if shape not in self._meters:
            self._meters[shape] = Meter(engine.card.key, latents, cap)
        entries = [Entry(engine, picture, listener, self._meters[shape]) for picture, listener in pictures]
        self._entries.update(zip(numbers, entries, strict=True))
        self._wake.set()
        return numbers

    def expect(self, count: int, coming: int = 0) -> None:
        """Raise ServerOverloaded unless `count` more pictures may wait, besides `coming` ones that are sure to be submitted."""
        self._scheduler.expect(count, coming)

    def cancel(self, numbers: Sequence[int]) -> None:
        """Stop drawing pictures; their slots are free for the next call. Those that are done already are passed over."""
        for number in numbers:
            entry = self._entries.pop(number, None)
            if entry and self._scheduler.cancel(number):
                metrics.PICTURES.labels("cancelled").inc()
                entry.meter.cancelled(entry.picture.steps - entry.done)
        self._wake.set()

    async def run(self) -> None:
        """Draw until cancelled."""
        while True:
            batch = self._scheduler.schedule()
            metrics.SLOTS.set(self._scheduler.running)
            metrics.WAITING.set(self._scheduler.waiting)
            metrics.ASIDE.set(self._scheduler.aside)
            if batch is None:
                self._lanes.clear()
                self._meters.clear()
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._draw(batch)
            if len(self._lanes) > 1:
                self._drop_unused_lanes()

    async def _draw(self, batch: Batch) -> None:
        """Make one call and tell what came of it."""
        slots = [seat.slot for seat in batch.seats]
        try:
            lane = self._seat(batch)
            stepped = await asyncio.get_running_loop().run_in_executor(self._thread, lane.step, slots)
        except MezzotintError as error:
            log.error("a step failed", shape=batch.shape, rows=sum(seat.ticket.rows for seat in batch.seats), error=str(error))
            self._fail(batch.seats, error)
            return
        except Exception as error:  # a defect costs the pictures of this call, not everybody's
            log.error("a step met a defect", shape=batch.shape, exc_info=error)
            self._fail(batch.seats, Internal("internal error; the worker's log holds the report"))
            return
        self._meters[batch.shape].called(batch, stepped)
        self._settle(batch, stepped)

    def _seat(self, batch: Batch) -> Lane:
        """The lane of a batch's shape, made when the shape is new, with everybody of the batch in their slots."""
        if batch.shape not in self._lanes:
            self._lanes[batch.shape] = Lane(self._entries[batch.joined[0].ticket.number].engine, self._rows_max)
        lane = self._lanes[batch.shape]
        for seat in batch.aside:
            entry = self._entries[seat.ticket.number]
            entry.aside = lane.put_aside(seat.slot)
            entry.meter.put_aside()
        for seat in batch.joined:
            entry = self._entries[seat.ticket.number]
            if entry.aside:
                lane.take_up(seat.slot, entry.aside)
                entry.aside = None
            else:
                lane.join(seat.slot, entry.picture)
                entry.meter.joined(time.perf_counter() - entry.submitted)
                entry.listener.joined()
        return lane

    def _drop_unused_lanes(self) -> None:
        """Let go of models that nobody waits for any more, so that an unloaded one gives its memory back under load too."""
        used = {id(entry.meter) for entry in self._entries.values()}
        self._meters = {shape: meter for shape, meter in self._meters.items() if id(meter) in used}
        self._lanes = {shape: lane for shape, lane in self._lanes.items() if shape in self._meters}

    def _settle(self, batch: Batch, stepped: Stepped) -> None:
        """Tell every listener of a call that went well."""
        number = next(self._calls)
        broken = {seat.ticket.number for seat in batch.seats if seat.slot in stepped.broken}
        done = {ticket.number for ticket in self._scheduler.update(broken, stepped.ms / 1e3)}
        for seat in batch.seats:
            entry = self._entries.get(seat.ticket.number)
            if entry is None:
                continue
            if seat.ticket.number in broken:
                del self._entries[seat.ticket.number]
                metrics.PICTURES.labels("failed").inc()
                entry.listener.failed(Internal(f"the model's values are not numbers any more after step {seat.done + 1}"))
                continue
            if not seat.done:
                entry.meter.began(time.perf_counter() - entry.submitted)
            entry.done = seat.done + 1
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
