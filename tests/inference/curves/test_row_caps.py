"""How many rows a call may have: measured when a model is opened, remembered, or set."""

from functools import partial
from pathlib import Path

import pytest

from mezzotint.inference.curves.file import CurveFile
from mezzotint.inference.curves.row_caps import RowCaps, device_of, model_of
from mezzotint.inference.graphs.graph import Graph
from mezzotint.inference.models.engine import Floats
from mezzotint.inference.models.memory import graph_bytes
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.runtime.errors import Internal, ModelInvalid
from tests.inference.tiny_model import write_tiny_model

SHAPE = "4x32x32"


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


def name(folder: Path) -> str:
    """What the curve of the tiny model is kept by."""
    return f"tiny@1, {graph_bytes(folder)} bytes"


def opened(caps: RowCaps, folder: Path, rows_max: int = 4) -> Watched:
    """A model opened with `caps`."""
    engine = caps.learning(partial(Watched, threads=1, rows_max=rows_max))(folder)
    assert isinstance(engine, Watched)
    return engine


def test_measured_once_on_a_machine(folder: Path, tmp_path: Path) -> None:
    """The first start measures, the next one knows; with another number of threads it is measured again."""
    file = CurveFile(tmp_path / "curves.json")
    first = opened(RowCaps(file, 4, threads=1), folder)
    assert first.calls > 0
    caps = RowCaps(file, 4, threads=1)
    again = opened(caps, folder)
    assert again.calls == 0
    curve = file.find(model_of(again, folder), SHAPE, device_of(again.device, 1), 4)
    assert curve is not None
    assert sorted(curve) == [1, 2, 4]
    assert caps.of(again, SHAPE) in (2, 4)
    assert opened(RowCaps(file, 4, threads=2), folder).calls > 0


def test_the_curve_decides(folder: Path, tmp_path: Path) -> None:
    """The cap is the knee of what is kept for this machine; a shape that was not measured is taken as one that was."""
    file, caps = CurveFile(tmp_path / "curves.json"), RowCaps(CurveFile(tmp_path / "curves.json"), 8, threads=1)
    file.keep(
        name(folder),
        SHAPE,
        device_of("CPUExecutionProvider", 1),
        8,
        {1: 10.0, 2: 12.0, 4: 14.0, 8: 40.0},
    )
    engine = opened(caps, folder)
    assert caps.of(engine, SHAPE) == caps.of(engine, "4x16x16") == caps.of(engine, "4x64x64") == caps.least() == 4


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


def test_a_model_that_is_gone_counts_no_more(folder: Path, tmp_path: Path) -> None:
    """Nothing is kept of an engine that nobody uses, nor is it kept alive."""
    file, caps = CurveFile(tmp_path / "curves.json"), RowCaps(CurveFile(tmp_path / "curves.json"), 4, threads=1)
    file.keep(name(folder), SHAPE, device_of("CPUExecutionProvider", 1), 4, {1: 10.0, 2: 12.0, 4: 40.0})
    engine = opened(caps, folder)
    assert caps.least() == 2
    del engine
    assert caps.least() == 4
