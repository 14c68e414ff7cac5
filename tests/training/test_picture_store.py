"""A vector picture comes out as its bitmap would: same size, same colours, nothing where nothing is drawn."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="it draws the vector pictures; install mezzotint[export]")

from training.aquatint.picture_store import open_picture  # needs resvg
from training.aquatint.pictures import base_views, premultiply  # beside the other

HALF_RED = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="16" height="32" fill="#f00"/></svg>'


def test_a_vector_picture_is_drawn_with_its_transparency(tmp_path: Path) -> None:
    path = tmp_path / "half.svg"
    path.write_text(HALF_RED)
    view = base_views(premultiply(open_picture(path)), np.random.default_rng(1))[0]
    assert (view[:, :16] == (255, 0, 0, 255)).all()
    assert not view[:, 16:, 3].any()
