"""Precisions, weights in a file of their own, and everything for which an export is refused with nothing left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPTextModel

from mezzotint.export import export as exporting
from mezzotint.export import graph_file
from mezzotint.export.export import export, precision_of
from mezzotint.export.graph_file import TOLERANCE, write
from mezzotint.export.parts import Layout, Part, clip_part, unet_part
from mezzotint.export.refusal import ExportRefused
from mezzotint.export.source import Source
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime
from tests.export import pipelines

# torch warns about its own internals; nothing here can act on that.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def text_encoder() -> Part:
    return clip_part("text_encoder", pipelines.clip(CLIPTextModel), pipelines.TOKENS, projected=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> graph_file.Written:
    """The text encoder in float32."""
    return write(text_encoder(), tmp_path_factory.mktemp("plain"), "float32")


@pytest.mark.parametrize(("precision", "part_of_size"), [("float16", 0.6), ("int8", 0.8)])
def test_precisions(precision: str, part_of_size: float, plain: graph_file.Written, tmp_path: Path) -> None:
    """In float16 and int8, which leaves tables as they are, a graph is smaller and within the tolerance stated for it."""
    small = write(text_encoder(), tmp_path / "small", precision)
    assert small.size_bytes < part_of_size * plain.size_bytes
    assert plain.difference < small.difference <= TOLERANCE[precision]
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["model.onnx"]


def test_float16_keeps_sizes_and_timesteps(tmp_path: Path) -> None:
    """In a UNet of float16 noise levels and sizes stay float32, which holds them, and the graph is within the tolerance."""
    unet = pipelines.unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + pipelines.WIDTH,
    )
    layout = Layout(pipelines.TOKENS, pipelines.WIDTH, pipelines.WIDTH)
    write(unet_part(unet, layout, added=True), tmp_path, "float16")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    types = {each.name: each.type for each in session.get_inputs()}
    assert types["sample"] == types["encoder_hidden_states"] == "tensor(float16)"
    assert types["timestep"] == types["time_ids"] == "tensor(float)"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_large_weights_lie_beside_the_graph(precision: str, tmp_path: Path) -> None:
    """More weights than a graph's file may hold go to model.onnx_data, and the graph runs with them."""
    written = write(text_encoder(), tmp_path, precision, inline_bytes_max=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx_data"]
    assert (tmp_path / "model.onnx").stat().st_size < written.size_bytes
    # The exporter's notes, with paths of the machine it ran on, are not in what is given away.
    content = (tmp_path / "model.onnx").read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in content
    assert b"stack_trace" not in content
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(["last_hidden_state"], {"input_ids": np.zeros((5, pipelines.TOKENS), np.int64)})[0].shape[0] == 5


class Fickle(nn.Module):
    """Adds one more each time it is called outside of the exporter: no graph can match it."""

    calls = 0

    def forward(self, value: Tensor) -> Tensor:
        """Return `value` plus the number of calls so far."""
        if not torch.compiler.is_exporting():
            self.calls += 1
        return value + self.calls


def test_graph_that_differs_is_refused(tmp_path: Path) -> None:
    """A graph that does not compute what its module computes is not written; the reason has both numbers."""
    part = Part(
        "fickle", Fickle(), lambda model, value: model(value), ["value"], ["sum"], lambda rows, *_: (torch.randn(rows, 4),)
    )
    with pytest.raises(ExportRefused, match=r"fickle/model.onnx differs from torch by .*; 1e-04 is the tolerance for float32"):
        write(part, tmp_path, "float32")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pipeline's folder."""
    folder = tmp_path_factory.mktemp("pipelines") / "sd"
    pipelines.save_sd(folder)
    return folder


def copied(source: Path, folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(source, folder))


def other_pipeline(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "KandinskyPipeline"}))


def nan_weights(folder: Path) -> None:
    model = pipelines.clip(CLIPTextModel)
    with torch.no_grad():
        next(model.parameters())[3] = float("nan")
    model.save_pretrained(folder / "text_encoder")


def cut_off(folder: Path) -> None:
    file = next((folder / "text_encoder").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-100])


def other_scheduler(folder: Path) -> None:
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({"_class_name": "HeunDiscreteScheduler"}))


REFUSED: list[tuple[str, Callable[[Path], Any], str]] = [
    ("no index", lambda folder: (folder / "model_index.json").unlink(), "model_index.json: it cannot be read"),
    ("another pipeline", other_pipeline, "KandinskyPipeline cannot be exported; StableDiffusionPipeline, "),
    ("another scheduler", other_scheduler, "scheduler/scheduler_config.json: _class_name is 'HeunDiscreteScheduler'"),
    ("NaN weights", nan_weights, "text_encoder: the weights .* hold values that are not numbers"),
    ("weights cut off", cut_off, "text_encoder: it cannot be loaded"),
    ("no unet", lambda folder: (folder / "unet/config.json").unlink(), "unet/config.json: it cannot be read"),
]


@pytest.mark.parametrize(("damage", "why"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_refusal_leaves_nothing(
    source: Path, damage: Callable[[Path], Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be exported is refused with file and reason, and neither OUT nor a part of it is there."""
    folder = copied(source, tmp_path / "source")
    damage(folder)
    monkeypatch.setattr(exporting, "write", lambda part, *_: graph_file.Written(part.folder, 0, 0.0))
    with pytest.raises(ExportRefused, match=why):
        export(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_failure_half_way_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full half way, or an interrupt, leaves neither OUT nor the folder it was made in."""
    for failure, expected in (
        (OSError(28, "No space left on device"), ExportRefused),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        written: list[str] = []

        def fail(part: Part, folder: Path, *_: Any, failure: BaseException = failure, written: list[str] = written) -> Any:
            folder.mkdir()
            written.append(part.folder)
            if len(written) == 2:
                raise failure
            return graph_file.Written(part.folder, 0, 0.0)

        monkeypatch.setattr(exporting, "write", fail)
        with pytest.raises(expected):
            export(source, tmp_path / "out")
        assert len(written) == 2
        assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    """A folder with something in it is left as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(ExportRefused, match="is there already"):
        export(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_autoencoder_keeps_float32_where_float16_would_overflow(source: Path, tmp_path: Path) -> None:
    """Only a VAE that says it needs no upcast is written in float16, and none in int8."""
    folder = copied(source, tmp_path / "source")
    part = Part("vae_decoder", nn.Identity(), lambda *_: None, (), (), lambda *_: ())
    assert [precision_of(Source(folder), part, each) for each in ("float16", "int8")] == ["float32", "float32"]
    config = json.loads((folder / "vae/config.json").read_text())
    (folder / "vae/config.json").write_text(json.dumps(config | {"force_upcast": False}))
    assert [precision_of(Source(folder), part, each) for each in ("float16", "int8")] == ["float16", "float32"]
