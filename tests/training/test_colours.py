"""Painting and naming agree: a picture painted in a colour is seen in that colour."""

import pytest

torch = pytest.importorskip("torch", reason="colours are computed with torch; install mezzotint[export]")

from torch import Tensor  # noqa: E402  # needs torch

from training.aquatint.colour_naming import dominant_colours  # noqa: E402  # after the skip
from training.aquatint.colours import paint, rotate_hue  # noqa: E402  # needs torch
from training.aquatint.latents import to_latent, to_straight  # noqa: E402  # needs torch
from training.aquatint.palette import COLOUR_NAMES, PAINTS  # noqa: E402  # needs torch


@pytest.fixture
def shaded_disc() -> Tensor:
    """A yellow disc with soft shading on nothing: (1, 32, 32, 4)."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    light = (0.85 - 0.15 * rows)[..., None]
    rgb = (torch.tensor([1.0, 0.8, 0.2]) * light).clamp(0, 1)
    alpha = ((rows**2 + columns**2) < 0.8).float()[..., None]
    disc: Tensor = torch.cat([rgb, alpha], dim=-1)[None]
    return disc


@pytest.mark.parametrize("colour", COLOUR_NAMES)
def test_a_painted_picture_is_seen_in_its_colour(shaded_disc: Tensor, colour: str) -> None:
    painted = paint(shaded_disc, torch.tensor([PAINTS[colour]]), torch.zeros(1))
    assert dominant_colours(painted.numpy()) == [colour]
    assert torch.equal(painted[..., 3], shaded_disc[..., 3])


def test_a_kept_picture_is_not_changed(shaded_disc: Tensor) -> None:
    kept = paint(shaded_disc, torch.tensor([PAINTS["blue"]]), torch.ones(1))
    torch.testing.assert_close(kept, shaded_disc)
    torch.testing.assert_close(rotate_hue(shaded_disc, torch.zeros(1)), shaded_disc, atol=1e-4, rtol=0)


def test_a_half_turn_of_hue_makes_yellow_blue(shaded_disc: Tensor) -> None:
    assert dominant_colours(shaded_disc.numpy()) == ["yellow"]
    assert dominant_colours(rotate_hue(shaded_disc, torch.tensor([180.0])).numpy()) == ["blue"]


def test_a_picture_of_many_colours_has_no_name() -> None:
    quarters = torch.ones(1, 2, 2, 4)
    for place, colour in enumerate(("red", "green", "blue", "yellow")):
        quarters[0, place // 2, place % 2, :3] = torch.tensor(PAINTS[colour])
    assert dominant_colours(quarters.numpy()) == [None]


def test_a_latent_gives_the_picture_back(shaded_disc: Tensor) -> None:
    straight = to_straight(to_latent(shaded_disc)).permute(0, 2, 3, 1)
    opaque = shaded_disc[..., 3] > 0
    torch.testing.assert_close(straight[..., 3], shaded_disc[..., 3] * 2 - 1)
    torch.testing.assert_close(straight[opaque], shaded_disc[opaque] * 2 - 1)
