"""How many rows a call may have: measured when a model is opened, remembered, or set."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from mezzotint.inference.curves import row_caps
from mezzotint.inference.curves.conditions import device_of, model_of
from mezzotint.inference.curves.curve import Measured
from mezzotint.inference.curves.file import CurveFile
from mezzotint.inference.curves.row_caps import STARTS_MAX, RowCaps
from mezzotint.inference.graphs.graph import Graph
from mezzotint.inference.models.engine import Floats
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.runtime.errors import Internal, ModelInvalid
from tests.inference.tiny_model import write_tiny_model

SHAPE = "4x32x32"
GUARD_SECONDS = 30


class Watched(OnnxEngine):
    """A model that counts its calls after it was opened."""

    calls = 0

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        self.calls += 1
        return super().denoise(samples, timesteps, hidden, pooled)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny model."""
    return write_tiny_model(tmp_path / "tiny")


def opened(caps: RowCaps, folder: Path, rows_max: int = 4) -> Watched:
    """A model opened with `caps`."""
    engine = caps.learning(partial(Watched, threads=1, rows_max=rows_max))(folder)
    assert isinstance(engine, Watched)
    return engine


def key_of(engine: Watched, folder: Path, rows_max: int, threads: int = 1) -> tuple[str, str, str, int]:
    """What the curve of an opened model is kept by."""
    return model_of(engine, folder), SHAPE, device_of(engine.device, threads), rows_max


@pytest.fixture
def engine(folder: Path) -> Watched:
    """The tiny model, to name it by."""
    return Watched(folder, threads=1, rows_max=2)


def test_measured_once_on_a_machine(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start measures, the next one knows; with another number of threads, or other graphs, it is measured again."""
    monkeypatch.setattr(row_caps, "SPREAD_MAX", math.inf)
    file = CurveFile(tmp_path / "curves.json")
    first = opened(RowCaps(file, 4, threads=1), folder)
    assert first.calls > 0
    caps = RowCaps(file, 4, threads=1)
    again = opened(caps, folder)
    assert again.calls == 0
    kept = file.find(*key_of(again, folder, 4))
    assert kept is not None
    assert sorted(kept.step_ms) == [1, 2, 4]
    assert caps.of(again, SHAPE) in (2, 4)
    assert opened(RowCaps(file, 4, threads=2), folder).calls > 0
    assert opened(RowCaps(file, 4, threads=1), write_tiny_model(tmp_path / "other/tiny", work=1)).calls > 0


def test_the_curve_decides(folder: Path, tmp_path: Path, engine: Watched) -> None:
    """The cap is the knee of what is kept for this machine; a shape that was not measured is taken as one that was."""
    file, caps = CurveFile(tmp_path / "curves.json"), RowCaps(CurveFile(tmp_path / "curves.json"), 8, threads=1)
    file.keep(*key_of(engine, folder, 8), Measured({1: 10.0, 2: 12.0, 4: 14.0, 8: 40.0}, spread=0.1))
    engine = opened(caps, folder)
    assert caps.of(engine, SHAPE) == caps.of(engine, "4x16x16") == caps.of(engine, "4x64x64") == caps.least() == 4


def test_what_was_measured_on_a_busy_machine_is_measured_again(folder: Path, tmp_path: Path, engine: Watched) -> None:
    """A curve that spread much counts for less: later starts measure too and keep the least, though not for ever."""
    key, file = key_of(engine, folder, 4), CurveFile(tmp_path / "curves.json")
    file.keep(*key, Measured({1: 1e-6, 2: 60_000.0, 4: 120_000.0}, spread=5.0, starts=2))
    assert opened(RowCaps(file, 4, threads=1), folder).calls > 0
    kept = file.find(*key)
    assert kept is not None
    assert (kept.starts, kept.step_ms[1]) == (3, 1e-6)
    assert kept.step_ms[2] < 60_000.0
    file.keep(*key, Measured(kept.step_ms, spread=5.0, starts=STARTS_MAX))
    assert opened(RowCaps(file, 4, threads=1), folder).calls == 0


def test_an_operator_can_have_it_measured_again(folder: Path, tmp_path: Path, engine: Watched) -> None:
    """With the setting, what is kept is not believed, and what is measured takes its place."""
    key, file = key_of(engine, folder, 4), CurveFile(tmp_path / "curves.json")
    file.keep(*key, Measured({1: 1e-6, 2: 1e-6, 4: 1e-6}, spread=0.0))
    assert opened(RowCaps(file, 4, threads=1, again=True), folder).calls > 0
    kept = file.find(*key)
    assert kept is not None
    assert min(kept.step_ms.values()) > 1e-6


def test_measured_calls_take_turns_with_those_that_draw(folder: Path, tmp_path: Path) -> None:
    """While the thread for calls is taken nothing is measured beside it, so pictures under way do not make calls longer."""
    gate = Event()
    with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as loading:
        thread.submit(gate.wait)
        caps = RowCaps(CurveFile(tmp_path / "curves.json"), 4, threads=1, thread=thread)
        engine = loading.submit(opened, caps, folder)
        try:
            with pytest.raises(TimeoutError):
                engine.result(0.5)
        finally:
            gate.set()
        assert engine.result(GUARD_SECONDS).calls > 0


def refuse_beyond(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the device refuse calls of a denoiser with more rows."""

    def call(self: Graph, **inputs: Floats) -> list[Floats]:
        if len(inputs.get("sample", ())) > rows and "timestep" in inputs:
            raise Internal("out of memory")
        return whole(self, **inputs)

    whole = Graph.__call__
    monkeypatch.setattr(Graph, "__call__", call)


@pytest.mark.parametrize("fixed", [None, 8])
def test_a_batch_that_the_device_refuses_lowers_the_cap(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: int | None
) -> None:
    """When calls of many rows fail, the model is served with fewer, whether the rows are measured or set."""
    refuse_beyond(4, monkeypatch)
    caps = RowCaps(CurveFile(tmp_path / "curves.json"), 8, threads=1, fixed=fixed)
    engine = opened(caps, folder, rows_max=8)
    assert engine.rows_possible(engine.card.latent) == 4
    assert caps.of(engine, SHAPE) == caps.least()
    assert caps.least() == 4 if fixed else caps.least() <= 4
    assert not (tmp_path / "curves.json").exists()  # the next start may find more room


def test_a_device_that_takes_one_row_serves_guidance(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one row is all that the device takes, two are two calls; where it takes none, the model cannot be opened."""
    refuse_beyond(1, monkeypatch)
    caps = RowCaps(CurveFile(tmp_path / "curves.json"), 8, threads=1)
    engine = opened(caps, folder, rows_max=8)
    assert caps.of(engine, SHAPE) == 2
    assert engine.rows_possible(engine.card.latent) == 1
    refuse_beyond(0, monkeypatch)
    with pytest.raises(ModelInvalid, match=r"unet/model.onnx: out of memory"):
        opened(RowCaps(CurveFile(tmp_path / "none.json"), 8, threads=1), folder)


def test_a_setting_is_not_measured(folder: Path, tmp_path: Path) -> None:
    """Rows that are set hold, above what would be measured too."""
    caps = RowCaps(CurveFile(tmp_path / "curves.json"), 4, threads=1, fixed=6)
    engine = opened(caps, folder)
    assert (engine.calls, caps.of(engine, SHAPE), caps.least()) == (0, 6, 6)


def test_a_model_that_is_gone_counts_no_more(folder: Path, tmp_path: Path, engine: Watched) -> None:
    """Nothing is kept of an engine that nobody uses, nor is it kept alive."""
    file, caps = CurveFile(tmp_path / "curves.json"), RowCaps(CurveFile(tmp_path / "curves.json"), 4, threads=1)
    file.keep(*key_of(engine, folder, 4), Measured({1: 10.0, 2: 12.0, 4: 40.0}, spread=0.0))
    used = opened(caps, folder)
    assert caps.least() == 2
    del used
    assert caps.least() == 4
