"""The denoiser starts from the best guess that a Gaussian around the draft allows; the draft learns without it."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks are torch modules; install mezzotint[export]")

from training.aquatint.base_model import BaseModel  # noqa: E402  # needs torch
from training.aquatint.flow import noise_to  # noqa: E402  # needs torch
from training.aquatint.train import take_over  # noqa: E402  # needs torch
from training.aquatint.unet import DRAFT_SPREAD, UnetShape, velocity_given_draft  # noqa: E402  # needs torch

SHAPE = UnetShape(channels=(16, 32), blocks=1, head_channels=16, words=16, condition=32, draft=24)
ROWS = 4096


@pytest.mark.parametrize("sigma", [0.02, 0.3, 0.7, 1.0])
def test_the_guess_is_the_best_for_pictures_around_the_draft(sigma: float) -> None:
    """The error of the guess has the spread that is told, and no scaling of the guess's residual makes it smaller."""
    torch.manual_seed(1)
    draft = torch.full((ROWS, 1, 1, 1), 0.4)
    data, noise = draft + DRAFT_SPREAD * torch.randn(ROWS, 1, 1, 1), torch.randn(ROWS, 1, 1, 1)
    sample = noise_to(torch.full((ROWS,), sigma), data, noise)
    expected, spread = velocity_given_draft(sample, draft, torch.full((ROWS,), sigma))
    error = noise - data - expected
    assert float(error.std()) == pytest.approx(float(spread[0]), rel=0.05)
    assert abs(float((error * (sample - sample.mean())).mean())) < 0.05 * float(sample.std())


def test_in_pure_noise_an_untrained_denoiser_draws_the_draft() -> None:
    torch.manual_seed(2)
    base = BaseModel(SHAPE, layers=1, heads=2).eval()
    words, pooled = base.text_encoder(torch.tensor([[1, 5, 6]]))
    noise = torch.randn(1, 4, 32, 32)
    velocity = base.unet(noise, torch.tensor([1000.0]), words, pooled)
    torch.testing.assert_close(noise - velocity, base.unet.draft(pooled), atol=1e-5, rtol=0)


def test_the_draft_learns_from_pictures_alone() -> None:
    torch.manual_seed(3)
    base = BaseModel(SHAPE, layers=1, heads=2)
    torch.nn.init.normal_(base.unet.head.weight, std=0.1)
    data, noise = torch.randn(2, 4, 32, 32), torch.randn(2, 4, 32, 32)
    corrected, drafted = base.losses(data, noise, torch.tensor([[1, 5], [1, 7]]), torch.tensor([0.3, 0.8]))
    corrected.backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in base.unet.draft.parameters())
    drafted.backward()
    assert base.unet.draft.draw.weight.grad is not None


def test_padding_that_is_cut_off_changes_nothing() -> None:
    torch.manual_seed(4)
    encoder = BaseModel(SHAPE, layers=2, heads=2).text_encoder.eval()
    short = torch.tensor([[1, 5, 6, 0]])
    long = torch.cat([short, torch.zeros(1, 20, dtype=torch.long)], dim=1)
    torch.testing.assert_close(encoder(short)[1], encoder(long)[1], atol=1e-5, rtol=0)


def test_an_earlier_denoiser_is_taken_over_where_it_fits(tmp_path: Path) -> None:
    path = tmp_path / "earlier.pt"
    torch.manual_seed(5)
    earlier, fresh = BaseModel(SHAPE, layers=1, heads=2), BaseModel(SHAPE, layers=1, heads=2)
    state = earlier.state_dict()
    state["unet.stem.weight"] = state["unet.stem.weight"][:, :16].clone()
    torch.save({"average": state}, path)
    head = fresh.unet.head.bias.clone()
    taken = take_over(path, fresh, ("unet.head.",))
    assert taken > 10
    torch.testing.assert_close(fresh.unet.middle.residual.conv_in.weight, earlier.unet.middle.residual.conv_in.weight)
    torch.testing.assert_close(fresh.unet.stem.weight[:, :16], state["unet.stem.weight"])
    assert not fresh.unet.stem.weight[:, 16:].any()
    torch.testing.assert_close(fresh.unet.head.bias, head)
