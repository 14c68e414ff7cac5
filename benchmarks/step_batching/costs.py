"""What the engine costs over a bare loop of ONNX Runtime, what previews cost, and how soon a cancelled slot is free."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.step_batching.engine_room import MODEL, Room, Running, running
from benchmarks.step_batching.load import Told, follow
from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.batching.denoising_loop import Call
from mezzotint.inference.batching.lane import Picture
from mezzotint.inference.graphs.graph import options
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine, Floats
from mezzotint.inference.pictures import stages
from mezzotint.inference.pictures.request import resolve
from mezzotint.inference.sampling.guidance import WITHOUT
from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.errors import MezzotintError

# Calls in a row of either kind, before it is the other's turn.
CALLS = 10
ROUNDS_MIN, OWN_ROUNDS = 2, 20
PREVIEWS, PREVIEW_STEPS = 3, 20


@dataclass(frozen=True)
class Cost:
    """Milliseconds of a call by the clock, and of all processors together."""

    ms: float
    cpu_ms: float

    @staticmethod
    def now() -> "Cost":
        """What both clocks say."""
        return Cost(time.perf_counter() * 1e3, time.process_time() * 1e3)

    def since(self, began: "Cost") -> "Cost":
        """A call's part of the time since then."""
        return Cost((self.ms - began.ms) / CALLS, (self.cpu_ms - began.cpu_ms) / CALLS)


class Idle:
    """An engine whose denoiser gives back what it gets."""

    def __init__(self, engine: Engine) -> None:
        self.embed, self.decode, self.encode, self.sketch = engine.embed, engine.decode, engine.encode, engine.sketch
        self.card, self.padding = engine.card, engine.padding

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        """See Engine, but nothing is predicted."""
        return samples


@dataclass
class Watcher:
    """Whoever waits for a picture: when its steps came; the events are set once it has a slot, a step, two."""

    at: list[float] = field(default_factory=list)
    slot: asyncio.Event = field(default_factory=asyncio.Event)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    second: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def joined(self) -> None:
        """It has a slot."""
        self.slot.set()

    def stepped(self, done: int, call: Call, preview: Floats | None) -> None:
        """It made a step."""
        self.at.append(time.perf_counter())
        self.first.set()
        if done == 2:
            self.second.set()

    def finished(self, latents: Floats) -> None:
        """It is done."""
        self.end.set_result(None)

    def failed(self, error: MezzotintError) -> None:
        """It cannot be drawn."""
        self.end.set_exception(error)


def picture(room: Room, steps: int) -> Picture:
    """A picture of one row."""
    spec = GenerationSpec(prompt="a red heart", steps=steps, guidance=WITHOUT, seed=1)
    return stages.prepare(resolve(spec, room.engine.card), room.engine, EmbeddingCache(4))[0]


def bare_call(room: Room) -> Callable[[], None]:
    """One call of the denoiser's graph with a full batch, and nothing around it."""
    session = onnxruntime.InferenceSession(
        str(bundled("models") / MODEL / "unet/model.onnx"), options(room.threads), providers=["CPUExecutionProvider"]
    )
    drawn = picture(room, 1)
    inputs = {
        "sample": np.stack([drawn.noise] * room.rows),
        "timestep": np.full(room.rows, 500, np.float32),
        "encoder_hidden_states": np.stack([drawn.prompt.hidden] * room.rows),
        "text_embeds": np.stack([drawn.prompt.pooled] * room.rows),
    }
    return lambda: session.run(["out_sample"], inputs)


def rounds(seconds: float) -> Iterator[int]:
    """Numbers of rounds until the time is over: two at least."""
    end, number = time.perf_counter() + seconds, 0
    while number < ROUNDS_MIN or time.perf_counter() < end:
        yield number
        number += 1


async def engine_overhead(room: Room, seconds: float) -> dict[str, float]:
    """What a call costs in the engine, all around it included, over a bare call at the same batch: both in turns.

    By the clock, and by the processors' time of the whole process, which other work on the machine disturbs less.
    """
    call, bare, engine = bare_call(room), list[Cost](), list[Cost]()
    async with running(room, "step") as made:
        await engine_calls(room, made)
        for number in rounds(seconds):
            if number % 2:
                bare.append(bare_calls(call))
            engine.append(await engine_calls(room, made))
            if not number % 2:
                bare.append(bare_calls(call))
    pairs = list(zip(engine, bare, strict=True))
    return {
        "engine_overhead": statistics.median(one.ms / other.ms for one, other in pairs) - 1,
        "engine_overhead_cpu": statistics.median(one.cpu_ms / other.cpu_ms for one, other in pairs) - 1,
        "engine_call_ms": statistics.median(cost.ms for cost in engine),
        "bare_call_ms": statistics.median(cost.ms for cost in bare),
        "batch": room.rows,
    }


async def engine_own_ms(room: Room) -> float:
    """Processor milliseconds of a call that are the engine's own: those of calls whose denoiser does nothing."""
    idle = Room(Idle(room.engine), room.rows, room.caps, room.threads)
    async with running(idle, "step", rows=room.rows) as made:
        return statistics.median([(await engine_calls(idle, made)).cpu_ms for _ in range(OWN_ROUNDS)])


async def engine_calls(room: Room, made: Running) -> Cost:
    """From the end of a call to the end of the next, with all slots full."""
    watchers = [Watcher() for _ in range(room.rows)]
    drawn = picture(room, CALLS + 1)
    made.loop.submit(room.engine, [(drawn, watcher) for watcher in watchers])
    await watchers[0].first.wait()
    began = Cost.now()
    await asyncio.gather(*(watcher.end for watcher in watchers))
    return Cost.now().since(began)


def bare_calls(call: Callable[[], None]) -> Cost:
    """A call, of as many in a row."""
    call()
    began = Cost.now()
    for _ in range(CALLS):
        call()
    return Cost.now().since(began)


async def previews_cost(room: Room, seconds: float) -> dict[str, float]:
    """How much more time full batches take with previews than without, whole pictures: the median of pairs, by both clocks."""
    ratios = []
    async with running(room, "step") as made:
        await draw_full(room, made, 0)
        for number in rounds(seconds):
            taken = {previews: await draw_full(room, made, previews) for previews in ((0, PREVIEWS), (PREVIEWS, 0))[number % 2]}
            ratios.append((taken[PREVIEWS].ms / taken[0].ms, taken[PREVIEWS].cpu_ms / taken[0].cpu_ms))
    clock, cpu = (statistics.median(each) - 1 for each in zip(*ratios, strict=True))
    return {"previews_cost": clock, "previews_cost_cpu": cpu}


async def draw_full(room: Room, made: Running, previews: int) -> Cost:
    """What it takes to draw as many pictures at once as a call has rows."""
    spec = GenerationSpec(prompt="a red heart", steps=PREVIEW_STEPS, guidance=WITHOUT, seed=1, previews=previews)
    began = Cost.now()
    await asyncio.gather(*(follow(made.painter, spec, Told(0)) for _ in range(room.rows)))
    return Cost.now().since(began)


async def cancel_frees_within_steps(room: Room, trials: int) -> int:
    """Calls that end between a cancellation amid one and the waiting picture's getting the slot: the worst of trials."""
    worst = 0
    async with running(room, "step") as made:
        for _ in range(trials):
            crowd, waiting = [Watcher() for _ in range(room.rows)], Watcher()
            numbers = made.loop.submit(room.engine, [(picture(room, 50), watcher) for watcher in crowd])
            numbers += made.loop.submit(room.engine, [(picture(room, 1), waiting)], priority=1)
            await crowd[-1].second.wait()
            await asyncio.sleep((crowd[-1].at[1] - crowd[-1].at[0]) / 2)
            before = len(crowd[-1].at)
            made.loop.cancel(numbers[:1])
            await waiting.slot.wait()
            worst = max(worst, len(crowd[-1].at) - before)
            made.loop.cancel(numbers)
    return worst
