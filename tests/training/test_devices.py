"""A training step computes on the network's device alone: "meta" refuses a tensor that was left on the processor."""

import pytest

torch = pytest.importorskip("torch", reason="the networks are torch modules; install mezzotint[export]")

from tokenizers import Tokenizer  # noqa: E402  # after the skip

from training.aquatint.base_model import BaseModel, sample_latents  # noqa: E402  # needs torch
from training.aquatint.devices import best_device  # noqa: E402  # needs torch
from training.aquatint.locations import MODEL_DIR  # noqa: E402  # after the skip
from training.aquatint.unet import UnetShape  # noqa: E402  # needs torch
from training.aquatint.upscaler import Decoder, Upscaler, UpscalerShape  # noqa: E402  # needs torch

SHAPE = UnetShape(channels=(16, 32), blocks=1, head_channels=16, words=16, condition=32, draft=24)
ELSEWHERE = torch.device("meta")


@pytest.fixture
def base() -> BaseModel:
    return BaseModel(SHAPE, layers=1, heads=2).to(ELSEWHERE)


def test_a_step_stays_on_the_device(base: BaseModel) -> None:
    images = (torch.randn(2, 4, 32, 32, device=ELSEWHERE) for _ in range(2))
    ids, sigmas = torch.ones(2, 3, dtype=torch.long, device=ELSEWHERE), torch.rand(2, device=ELSEWHERE)
    corrected, drafted = base.losses(*images, ids, sigmas)
    torch.autograd.backward(corrected + drafted)
    assert base.unet.head.weight.grad is not None


def test_a_sheet_is_drawn_on_the_device(base: BaseModel) -> None:
    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer" / "tokenizer.json"))
    drawn = sample_latents(base, tokenizer, ["red heart", "cat"], seed=1, steps=2)
    assert drawn.device == ELSEWHERE
    assert drawn.shape == (2, 4, 32, 32)


def test_the_decoder_stays_on_the_device() -> None:
    decoder = Decoder(Upscaler(UpscalerShape(channels=(8, 8, 4), blocks=(1, 1, 1)))).to(ELSEWHERE)
    assert decoder(torch.randn(1, 4, 32, 32, device=ELSEWHERE)).device == ELSEWHERE


def test_a_tensor_left_behind_is_found(base: BaseModel) -> None:
    images = (torch.randn(2, 4, 32, 32, device=ELSEWHERE) for _ in range(2))
    ids = torch.ones(2, 3, dtype=torch.long, device=ELSEWHERE)
    with pytest.raises(RuntimeError, match="device"):
        base.losses(*images, ids, torch.rand(2))


def test_the_processor_is_chosen_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device().type == "cuda"
