"""The denoising loop with a real graph, step by step."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.metrics import MetricWrapperBase

from mezzotint.inference import metrics
from mezzotint.inference.batching import modes
from mezzotint.inference.batching.denoising_loop import Call, DenoisingLoop
from mezzotint.inference.batching.lane import Picture
from mezzotint.inference.batching.step_scheduler import SlotScheduler
from mezzotint.inference.graphs import graph
from mezzotint.inference.graphs.devices import CPU, Way
from mezzotint.inference.models.engine import Engine, Floats
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.sampling.noise import noise
from mezzotint.runtime.errors import Internal, MezzotintError, ServerOverloaded
from tests.inference.gated_engine import GatedEngine
from tests.inference.tiny_model import write_tiny_model

# The same picture alone and in a batch: latents are in [-1, 1], and one of 255 levels of a pixel is 0.008.
LATENT_TOLERANCE = 2e-3
GUARD_SECONDS = 10
ROWS_MAX = 4


@dataclass
class Waiting:
    """Whoever waits for a picture, and all it was told."""

    joins: int = 0
    steps: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    previews: dict[int, Floats] = field(default_factory=dict)
    end: asyncio.Future[Floats] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def joined(self) -> None:
        self.joins += 1

    def stepped(self, done: int, call: Call, preview: Floats | None) -> None:
        self.steps.append(done)
        self.calls.append(call)
        if preview is not None:
            self.previews[done] = preview

    def finished(self, latents: Floats) -> None:
        self.end.set_result(latents)

    def failed(self, error: MezzotintError) -> None:
        self.end.set_exception(error)

    async def latents(self) -> Floats:
        return await asyncio.wait_for(self.end, GUARD_SECONDS)


@pytest.fixture
async def loop() -> AsyncIterator[DenoisingLoop]:
    """A loop of four rows that runs."""
    with ThreadPoolExecutor(1) as thread:
        made = DenoisingLoop(SlotScheduler(ROWS_MAX, waiting_max=6), thread, ROWS_MAX)
        running = asyncio.create_task(made.run())
        yield made
        running.cancel()


def picture(
    engine: Engine, seed: int, *, steps: int = 6, scale: float = 3.0, prompt: str = "red heart", **more: object
) -> Picture:
    positive, negative = engine.embed([prompt, ""])
    return Picture(noise(seed, engine.card.latent), seed, engine.card.samplers[0], steps, scale, positive, negative, **more)  # type: ignore[arg-type]  # by name


@pytest.fixture
def filled_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnnxEngine:
    """The tiny model with calls that are filled up to few numbers of rows, as they are on CUDA."""
    monkeypatch.setattr(graph, "ways", lambda available, captured: [Way((CPU,), bound=True)])
    return OnnxEngine(write_tiny_model(tmp_path / "tiny"), threads=1, rows_max=2)


async def drawn(loop: DenoisingLoop, engine: Engine, *pictures: Picture) -> list[Floats]:
    """The final latents of pictures that are submitted together."""
    waiting = [Waiting() for _ in pictures]
    loop.submit(engine, list(zip(pictures, waiting, strict=True)))
    return [await each.latents() for each in waiting]


async def test_same_picture_alone_and_in_a_batch(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """A picture with its seed is the same alone and among others of other steps, guidance and prompts."""
    wanted = picture(engine, 7)
    others = [picture(engine, 1, steps=3, scale=1.0), picture(engine, 2, steps=9, scale=9.0, prompt="blue"), picture(engine, 3)]
    (alone,) = await drawn(loop, engine, wanted)
    together = (await drawn(loop, engine, others[0], wanted, *others[1:]))[1]
    np.testing.assert_allclose(together, alone, atol=LATENT_TOLERANCE)
    assert not np.allclose(alone, (await drawn(loop, engine, picture(engine, 8)))[0], atol=LATENT_TOLERANCE)


async def test_same_picture_as_a_plain_loop(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """The loop draws what a loop over single calls of the graph draws."""
    wanted = picture(engine, 7, steps=5)
    sigmas = plain_sigmas(5, engine.card.scheduler.shift)
    sample: Floats = wanted.noise[None].copy()
    for now, following in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        level = np.array([now * 1000], np.float32)
        guided, free = (
            engine.denoise(sample, level, each.hidden[None], each.pooled[None]) for each in (wanted.prompt, wanted.negative)
        )
        sample += np.float32(following - now) * (free + 3 * (guided - free))
    (latents,) = await drawn(loop, engine, wanted)
    np.testing.assert_allclose(latents, sample[0], atol=LATENT_TOLERANCE)


def plain_sigmas(steps: int, shift: float) -> list[float]:
    """The noise levels, by the formula once more."""
    least = shift * 0.001 / (1 + (shift - 1) * 0.001)
    linear = [1 - i * (1 - least) / (steps - 1) for i in range(steps)]
    return [shift * level / (1 + (shift - 1) * level) for level in linear]


async def test_rows_of_one_call(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """Guided and unguided pictures at different steps share each call: they join and leave without anybody waiting."""
    gated = GatedEngine(engine)
    loop.submit(gated, [(picture(engine, 1, steps=3, scale=1.0), Waiting())])
    await gated.begins()
    loop.submit(gated, [(picture(engine, 2, steps=2, scale=3.0), late := Waiting())])
    gated.permit(4)
    await late.latents()
    assert [rows for rows, _ in gated.calls] == [1, 3, 3]
    joint = gated.calls[1][1]
    assert joint[0] < joint[1] == joint[2] == 1000


async def test_cancel_frees_the_slot_within_one_step(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """A picture cancelled during a step is in no further call, and the one that waited takes its place in the very next."""
    gated = GatedEngine(engine)
    numbers = loop.submit(gated, [(picture(engine, seed, steps=50), Waiting()) for seed in (1, 2)])
    loop.submit(gated, [(picture(engine, 3, steps=1), waited := Waiting())], priority=1)
    await gated.begins()
    loop.cancel(numbers[:1])
    gated.permit()
    await gated.begins()
    assert waited.joins == 1
    gated.permit()
    await waited.latents()
    await gated.begins()
    assert [rows for rows, _ in gated.calls] == [4, 4, 2]
    loop.cancel(numbers)
    gated.permit()


async def test_cancelled_while_waiting(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """A picture that is cancelled before it has a slot is never told anything."""
    gated = GatedEngine(engine)
    loop.submit(gated, [(picture(engine, seed, steps=2), Waiting()) for seed in (1, 2)])
    numbers = loop.submit(gated, [(picture(engine, 3), never := Waiting())])
    loop.submit(gated, [(picture(engine, 4, steps=1), last := Waiting())])
    await gated.begins()
    loop.cancel(numbers)
    gated.permit(9)
    await last.latents()
    assert never.joins == 0
    assert never.steps == []


async def test_broken_row_fails_alone(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """When one picture's values become NaN it fails, and those in the same calls are drawn as if nothing had been."""
    gated = GatedEngine(engine)
    gated.broken_rows = (0,)
    loop.submit(gated, [(picture(engine, 1, steps=4), bad := Waiting()), (picture(engine, 2, steps=4), good := Waiting())])
    await gated.begins()
    gated.permit()
    with pytest.raises(Internal, match="not numbers any more after step 1"):
        await bad.latents()
    gated.broken_rows = ()
    gated.permit(3)
    np.testing.assert_allclose(await good.latents(), (await drawn(loop, engine, picture(engine, 2, steps=4)))[0], atol=2e-3)


@pytest.mark.parametrize("failure", [Internal("out of memory"), ZeroDivisionError("a defect")])
async def test_failed_call_costs_its_own_pictures(loop: DenoisingLoop, engine: OnnxEngine, failure: Exception) -> None:
    """A call that fails, expectedly or by a defect, fails its pictures with an error, and the loop goes on."""
    gated = GatedEngine(engine)
    gated.failure = failure
    loop.submit(gated, [(picture(engine, 1), bad := Waiting())])
    await gated.begins()
    gated.permit()
    with pytest.raises(Internal):
        await bad.latents()
    assert np.isfinite((await drawn(loop, engine, picture(engine, 2)))[0]).all()


async def test_two_models_share_no_call_and_take_turns(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """Pictures of two engines are never in one call, and neither waits for the other to finish."""
    first, second = GatedEngine(engine), GatedEngine(engine)
    for gated in (first, second):
        loop.submit(gated, [(picture(engine, 1, steps=3), Waiting())])
    first.permit(9)
    second.permit(9)
    for gated in (first, second, first, second):
        await gated.begins()
    assert {rows for rows, _ in first.calls + second.calls} == {2}


async def test_waiting_list_is_bounded(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """A request that does not fit the waiting list is refused whole, with a time to come back."""
    gated = GatedEngine(engine)
    numbers = loop.submit(gated, [(picture(engine, seed), Waiting()) for seed in (1, 2)])
    await gated.begins()
    numbers += loop.submit(gated, [(picture(engine, seed), Waiting()) for seed in range(5)])
    with pytest.raises(ServerOverloaded) as refused:
        loop.submit(gated, [(picture(engine, seed), Waiting()) for seed in range(2)])
    assert refused.value.retry_after
    numbers += loop.submit(gated, [(picture(engine, 1), Waiting())])
    loop.cancel(numbers)
    gated.permit()


async def test_previews_and_costs(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """Previews come after the steps they are due after and near the picture; a call's time is shared out by rows."""
    wanted = picture(engine, 7, steps=6, preview_steps=frozenset({2, 5}))
    loop.submit(engine, [(wanted, guided := Waiting()), (picture(engine, 8, scale=1.0), plain := Waiting())])
    latents = await guided.latents()
    await plain.latents()
    assert sorted(guided.previews) == [2, 5]
    assert np.abs(guided.previews[5] - latents).mean() < np.abs(guided.previews[2] - latents).mean() < 0.5
    for call, other in zip(guided.calls, plain.calls, strict=True):
        assert call.number == other.number
        assert call.share_ms == pytest.approx(2 * other.share_ms)
        assert call.share_ms + other.share_ms == pytest.approx(call.ms)


async def test_a_better_priority_takes_a_slot_and_the_other_goes_on(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """At the next step the better one is in the slot; the other makes the rest of its steps after it, and not a bit differs."""
    (alone,) = await drawn(loop, engine, picture(engine, 1, steps=6))
    gated = GatedEngine(engine)
    loop.submit(gated, [(picture(engine, seed, steps=6), Waiting()) for seed in (8, 9)], priority=1)
    loop.submit(gated, [(picture(engine, 1, steps=6), free := Waiting())], priority=2)
    await gated.begins()
    gated.permit(6)
    for _ in range(6):
        await gated.begins()
    # It is the only one now, and has made no step yet.
    gated.permit(2)
    for _ in range(2):
        await gated.begins()
    assert free.steps == [1, 2]
    loop.submit(gated, [(picture(engine, seed, steps=3), paid := Waiting()) for seed in (2, 3)], priority=0)
    gated.permit(1)
    await gated.begins()
    gated.permit(3)
    await paid.latents()
    assert free.steps == [1, 2, 3]
    gated.permit(3)
    np.testing.assert_array_equal(await free.latents(), alone)
    assert (free.steps, free.joins) == ([1, 2, 3, 4, 5, 6], 1)


async def test_aside_pictures_can_be_cancelled_and_count(loop: DenoisingLoop, engine: OnnxEngine) -> None:
    """A picture that is cancelled while it is aside makes no further step, and those not made count as saved."""
    gated, before = GatedEngine(engine), (total(metrics.STEPS_SAVED), total(metrics.PUT_ASIDE))
    numbers = loop.submit(gated, [(picture(engine, 1, steps=50), free := Waiting())], priority=1)
    await gated.begins()
    loop.submit(gated, [(picture(engine, seed, steps=2), paid := Waiting()) for seed in (2, 3)])
    gated.permit()
    await gated.begins()
    loop.cancel(numbers)
    gated.permit(2)
    await paid.latents()
    assert free.steps == [1]
    assert (total(metrics.STEPS_SAVED), total(metrics.PUT_ASIDE)) == (before[0] + 49, before[1] + 1)


async def test_cap_of_a_model(engine: OnnxEngine) -> None:
    """A model whose calls are to have fewer rows than the loop allows has no more."""
    with ThreadPoolExecutor(1) as thread:
        loop = DenoisingLoop(SlotScheduler(8), thread, 8, lambda engine, shape: {"4x32x32": 2}[shape])
        running = asyncio.create_task(loop.run())
        gated = GatedEngine(engine)
        gated.permit(99)
        await drawn(loop, gated, *(picture(engine, seed, steps=2) for seed in range(3)))
        running.cancel()
    assert {rows for rows, _ in gated.calls} == {2}


@pytest.mark.parametrize("mode", modes.MODES)
async def test_every_mode_draws_the_same(loop: DenoisingLoop, engine: OnnxEngine, mode: str) -> None:
    """Whoever decides who shares a call, the pictures are the same, and calls, rows and waits are counted."""
    wanted = [picture(engine, seed, steps=2 + seed % 2, scale=1.0 + seed % 3) for seed in range(5)]
    expected = await drawn(loop, engine, *wanted)
    counters = (metrics.STEPS, metrics.ROWS, metrics.JOIN_SECONDS, metrics.SLOT_WAIT_SECONDS, metrics.CALL_SECONDS)
    before = [total(counter) for counter in counters]
    with ThreadPoolExecutor(1) as thread:
        other = DenoisingLoop(modes.scheduler(mode, ROWS_MAX), thread, ROWS_MAX)
        running = asyncio.create_task(other.run())
        for latents, same in zip(await drawn(other, engine, *wanted), expected, strict=True):
            np.testing.assert_allclose(latents, same, atol=LATENT_TOLERANCE)
        running.cancel()
    steps, rows, joins, waits, calls = (total(counter) - old for counter, old in zip(counters, before, strict=True))
    assert steps == sum(each.steps for each in wanted)
    assert rows == sum(each.steps * each.rows for each in wanted)
    assert (joins, waits) == (5, 5)
    assert calls == {"serial": 12, "request": 7}.get(mode, calls)


def total(metric: MetricWrapperBase) -> float:
    """A counter's value, or how often a time was observed, over all labels."""
    ends = ("_total", "_count")
    return sum(sample.value for each in metric.collect() for sample in each.samples if sample.name.endswith(ends))


@pytest.mark.parametrize(("pictures", "padded"), [(4, 0), (5, 1), (7, 1)])
async def test_rows_that_calls_are_filled_up_with_are_counted(filled_up: OnnxEngine, pictures: int, padded: int) -> None:
    """Where calls have only certain numbers of rows, what is drawn for nothing shows, call by call, and no picture notices."""
    before = total(metrics.ROWS), total(metrics.ROWS_PADDED)
    with ThreadPoolExecutor(1) as thread:
        loop = DenoisingLoop(SlotScheduler(8), thread, 8)
        running = asyncio.create_task(loop.run())
        wanted = [picture(filled_up, seed, steps=3, scale=1.0) for seed in range(pictures)]
        together = await drawn(loop, filled_up, *wanted)
        after = total(metrics.ROWS), total(metrics.ROWS_PADDED)
        (alone,) = await drawn(loop, filled_up, wanted[-1])
        running.cancel()
    assert (after[0] - before[0], after[1] - before[1]) == (3 * pictures, 3 * padded)
    np.testing.assert_allclose(together[-1], alone, atol=LATENT_TOLERANCE)


def test_calls_in_pieces_are_filled_up_piece_by_piece(filled_up: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows in pieces of three and two need none; in one piece they would need one."""
    latent = filled_up.card.latent
    assert filled_up.padding(5, latent) == 1
    call = graph.Graph.__call__

    def refusing(self: graph.Graph, **inputs: Floats) -> list[Floats]:
        if len(inputs["sample"]) > 3:
            raise Internal("out of memory")
        return call(self, **inputs)

    embedding, rows = filled_up.embed([""])[0], 5
    monkeypatch.setattr(graph.Graph, "__call__", refusing)
    hidden, pooled = np.stack([embedding.hidden] * rows), np.stack([embedding.pooled] * rows)
    filled_up.denoise(np.zeros((rows, *latent), np.float32), np.full(rows, 500, np.float32), hidden, pooled)
    assert filled_up.padding(rows, latent) == 0
