"""A painting from its request to its last event, and what it leaves behind."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, InputImage
from mezzotint.inference import metrics
from mezzotint.inference.batching.capacity import Capacity
from mezzotint.inference.batching.denoising_loop import DenoisingLoop, Listener
from mezzotint.inference.batching.lane import Picture
from mezzotint.inference.batching.step_scheduler import SlotScheduler
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.models.repository import Repository
from mezzotint.inference.pictures.events import Drawn, Started
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.pictures.painting import Studio
from mezzotint.inference.pictures.preparing import Preparing
from mezzotint.runtime import telemetry
from mezzotint.runtime.errors import Cancelled, ServerOverloaded
from tests.inference.given_pictures import encoded
from tests.inference.tiny_model import write_tiny_model

ROWS_MAX, WAITING_MAX = 4, 6
GUARD_SECONDS = 10
MIB = 1024 * 1024


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    """A studio with its loop running."""
    async with AsyncExitStack() as stack:
        pool, thread = (stack.enter_context(ThreadPoolExecutor(1)) for _ in range(2))
        loop = DenoisingLoop(SlotScheduler(ROWS_MAX, WAITING_MAX), thread, ROWS_MAX)
        running = asyncio.create_task(loop.run())
        yield Studio(loop, EmbeddingCache(4), pool, Capacity(ROWS_MAX), Preparing(loop, given_mib_max=1))
        running.cancel()


@pytest.fixture
async def repository(tmp_path: Path, studio: Studio) -> Repository:
    """A repository with a model whose steps take a while."""
    write_tiny_model(tmp_path / "tiny", work=40)
    made = Repository(tmp_path, "tiny", partial(OnnxEngine, threads=1, rows_max=ROWS_MAX), studio.pool)
    await made.load_all()
    return made


def steps_ms() -> float:
    """What all calls of the denoiser in this process took, as the metric has it."""
    (metric,) = metrics.STEP_SECONDS.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_sum")) * 1e3


async def test_shared_calls_are_counted_once_in_time_and_by_rows_in_cost(studio: Studio, repository: Repository) -> None:
    """Two pictures in the same calls, with nobody else in them, cost what the calls took: no more and no less."""
    before_ms = steps_ms()
    painting = Painter(repository, studio).paint(GenerationSpec(prompt="x", images=2, steps=5))
    events = [event async for event in painting]
    assert isinstance(events[0], Started)
    assert sorted(event.image_index for event in events if isinstance(event, Drawn)) == [0, 1]
    calls_ms = steps_ms() - before_ms
    assert calls_ms <= painting.bill.model_ms < 2 * calls_ms
    assert painting.bill.cost_ms == pytest.approx(painting.bill.model_ms)
    assert studio.capacity.free == ROWS_MAX // 2


async def test_finished_pictures_make_room_before_the_last_is_drawn(studio: Studio, repository: Repository) -> None:
    """Of three pictures in two slots, the two that are done leave one place free while the third is drawn."""
    with closing(Painter(repository, studio).paint(GenerationSpec(prompt="x", images=3, steps=4))) as painting:
        drawn = 0
        async for event in painting:
            drawn += isinstance(event, Drawn)
            if drawn == 2:
                break
        assert studio.capacity.free == 1


@pytest.mark.parametrize("events_before", [0, 1, 2])
async def test_cancelled_at_any_time_gives_everything_back(studio: Studio, repository: Repository, events_before: int) -> None:
    """A painting that is cancelled before it ran at all, while it waits or while it is drawn, leaves nothing taken."""
    with closing(Painter(repository, studio).paint(GenerationSpec(prompt="x", images=3, steps=50))) as painting:
        assert studio.capacity.free == 0
        reader = aiter(painting)
        for _ in range(events_before):
            await anext(reader)
    with pytest.raises(Cancelled):
        async for _ in reader:
            pass
    assert studio.capacity.free == ROWS_MAX // 2
    await asyncio.wait_for(repository.unload("tiny"), GUARD_SECONDS)


async def test_pictures_that_are_prepared_count_as_waiting(studio: Studio, repository: Repository) -> None:
    """A burst holds no more pictures than may wait while texts are encoded; all that were taken are drawn."""
    painter, spec, gate = Painter(repository, studio), GenerationSpec(prompt="x", images=2, steps=2), threading.Event()
    studio.pool.submit(gate.wait)
    try:
        taken = [painter.paint(spec) for _ in range(WAITING_MAX // 2)]
        with pytest.raises(ServerOverloaded, match="0 pictures wait for a slot, 6 are prepared for it or decoded, and 1 more"):
            painter.paint(GenerationSpec(prompt="x", images=1, steps=2))
        assert studio.capacity.free == 0
        taken[0].close()
        with pytest.raises(Cancelled):
            await anext(aiter(taken[0]))
        taken.append(painter.paint(spec))
    finally:
        gate.set()
    for painting in taken[1:]:
        assert sum([isinstance(event, Drawn) async for event in painting]) == 2
    studio.preparing.enter(WAITING_MAX, 0).give_back()


async def test_pictures_that_came_with_requests_are_bounded(studio: Studio, repository: Repository) -> None:
    """Requests bring no more pictures than may lie in memory until they are prepared; others are taken meanwhile."""
    noisy = Image.effect_noise((256, 256), 90).convert("RGB")
    given = InputImage(data=encoded(noisy, "PNG", compress_level=0))
    spec, gate = GenerationSpec(prompt="x", steps=2, image=given, strength=1.0), threading.Event()
    painter, at_once = Painter(repository, studio), MIB // len(given.data)
    studio.pool.submit(gate.wait)
    try:
        taken = [painter.paint(spec) for _ in range(at_once)]
        with pytest.raises(ServerOverloaded, match=r"came with 0.9 MiB of pictures, and this one with 0.2 MiB; 1 MiB may be"):
            painter.paint(spec)
        taken.append(painter.paint(GenerationSpec(prompt="x", steps=2)))
    finally:
        gate.set()
    for painting in taken:
        assert sum([isinstance(event, Drawn) async for event in painting]) == 1
    studio.preparing.enter(1, MIB).give_back()


async def test_decoding_that_lags_behind_counts_as_waiting(studio: Studio, repository: Repository) -> None:
    """Pictures whose pixels are long in coming keep others out: what waits after its steps is bounded too."""
    for _ in range(ROWS_MAX + WAITING_MAX):
        studio.capacity.begin_decoding()
    painter = Painter(repository, studio)
    with pytest.raises(ServerOverloaded, match="6 are prepared for it or decoded"):
        painter.paint(GenerationSpec(prompt="x", steps=2))
    studio.capacity.end_decoding()
    painter.paint(GenerationSpec(prompt="x", steps=2)).close()


async def test_tiers_become_priorities(studio: Studio, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier has the priority it is given, an unknown one the worst, and requests without a tier the best."""
    seen: list[int] = []
    submit = studio.loop.submit

    def watch(engine: Engine, pictures: Sequence[tuple[Picture, Listener]], priority: int = 0) -> list[int]:
        seen.append(priority)
        return submit(engine, pictures, priority)

    monkeypatch.setattr(studio.loop, "submit", watch)
    painter = Painter(repository, studio, {"pro": 1, "free": 5})
    for tier in ("free", "pro", "never heard of", None):
        assert [event async for event in painter.paint(GenerationSpec(prompt="x", steps=1), tier)]
    assert seen == [5, 1, 5, 1]


async def test_a_span_for_each_stage(studio: Studio, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traced painting has a span for each of its stages, all of one trace, with the previews among them."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    painter = Painter(repository, studio)
    assert [event async for event in painter.paint(GenerationSpec(prompt="x", images=2, steps=8, previews=1))]
    spans = kept.get_finished_spans()
    made = Counter(span.name.removeprefix("inference.") for span in spans)
    assert made.pop("preview") in (1, 2)
    assert made == {"paint": 1, "prepare": 1, "wait": 2, "denoise": 2, "develop": 2}
    assert len({span.context.trace_id for span in spans if span.context}) == 1
