"""A tiny model with random weights exports to the bundle's layout, and a wrong graph is refused."""

from pathlib import Path
from typing import TypeVar

import pytest

torch = pytest.importorskip("torch", reason="export runs torch; install mezzotint[export]")
pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript; install mezzotint[export]")

from torch import Tensor, nn  # noqa: E402  # needs torch

from training.aquatint import export  # noqa: E402  # needs torch
from training.aquatint.base_model import BaseModel  # noqa: E402  # needs torch
from training.aquatint.bundle_sampler import BundleSampler  # noqa: E402  # after the skips
from training.aquatint.export import BundleTooLargeError, export_bundle  # noqa: E402  # needs torch
from training.aquatint.graphs import GraphSpec, ParityError, export_graph  # noqa: E402  # needs torch
from training.aquatint.locations import MODEL_DIR  # noqa: E402  # after the skips
from training.aquatint.unet import UnetShape  # noqa: E402  # needs torch
from training.aquatint.upscaler import Upscaler, UpscalerShape  # noqa: E402  # needs torch

# torch.onnx warns about its own internals; nothing here can act on that.
pytestmark = pytest.mark.filterwarnings("ignore")
TOKENIZER = MODEL_DIR / "tokenizer" / "tokenizer.json"
Randomised = TypeVar("Randomised", bound=nn.Module)


def with_random_weights(module: Randomised) -> Randomised:
    """Replace the zeros that training starts from, which would hide a difference."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.05)
    return module


@pytest.fixture
def tiny_base() -> BaseModel:
    torch.manual_seed(3)
    shape = UnetShape(channels=(16, 32), blocks=1, head_channels=16, words=16, condition=32)
    return with_random_weights(BaseModel(shape, layers=1, heads=2))


@pytest.fixture
def tiny_upscaler() -> Upscaler:
    return with_random_weights(Upscaler(UpscalerShape(channels=(8, 8, 4), blocks=(1, 1, 1))))


def test_a_tiny_model_becomes_a_bundle_that_draws(tiny_base: BaseModel, tiny_upscaler: Upscaler, tmp_path: Path) -> None:
    export_bundle(tiny_base, tiny_upscaler, TOKENIZER, tmp_path)
    pictures = BundleSampler(tmp_path, threads=1).draw(["red heart", "cat", ""], seed=1, steps=2)
    assert pictures.shape == (3, 256, 256, 4)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}-*"))


def test_a_bundle_that_is_too_large_is_refused(
    tiny_base: BaseModel, tiny_upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_bytes(_spec: GraphSpec, path: Path) -> None:
        path.write_bytes(bytes(20_000))

    monkeypatch.setattr(export, "export_graph", write_bytes)
    export_bundle(tiny_base, tiny_upscaler, TOKENIZER, tmp_path)
    monkeypatch.setattr(export, "TOTAL_MB_MAX", 0.05)
    (tmp_path / "model_index.json").write_text("the one before")
    with pytest.raises(BundleTooLargeError):
        export_bundle(tiny_base, tiny_upscaler, TOKENIZER, tmp_path)
    assert (tmp_path / "model_index.json").read_text() == "the one before"


class Fickle(nn.Module):
    """Adds one more each time it is called outside of the exporter: no graph can match it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, value: Tensor) -> Tensor:
        """Return ``value`` plus the number of calls so far."""
        if not torch.compiler.is_exporting():
            self.calls += 1
        return value + self.calls


def test_a_graph_that_differs_is_refused(tmp_path: Path) -> None:
    spec = GraphSpec("fickle", Fickle(), ("value",), ("sum",), lambda batch: (torch.randn(batch, 4),))
    with pytest.raises(ParityError, match="fickle"):
        export_graph(spec, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
