"""Pictures become arrays in the order of their records, bitmaps and vectors alike, and other records make other arrays."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resvg_py", reason="it draws the vector pictures; install mezzotint[export]")

from training.aquatint.captions import RECORDS_FILE  # after the skip
from training.aquatint.locations import FULL_FILE  # after the skip
from training.aquatint.naming import Names  # after the skip
from training.aquatint.picture_store import load_pictures, open_picture  # needs resvg
from training.aquatint.pictures import base_views, premultiply  # beside the other
from training.aquatint.records import FLAT, SOLID, PictureRecord, picture_folder, record_to_json  # after the skip

HALF_RED = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="16" height="32" fill="#f00"/></svg>'


def test_a_vector_picture_is_drawn_with_its_transparency(tmp_path: Path) -> None:
    path = tmp_path / "half.svg"
    path.write_text(HALF_RED)
    view = base_views(premultiply(open_picture(path)), np.random.default_rng(1))[0]
    assert (view[:, :16] == (255, 0, 0, 255)).all()
    assert not view[:, 16:, 3].any()


def write_records(cache: Path, records: list[PictureRecord]) -> None:
    (cache / RECORDS_FILE).write_text("\n".join(map(record_to_json, records)) + "\n")


def test_rows_follow_the_records_and_stale_arrays_are_made_again(tmp_path: Path) -> None:
    solid = PictureRecord("1", "1.webp", Names("sea"), "sky")
    flat = PictureRecord("1", "1.svg", Names("sea"), "sky", style=FLAT)
    for style in (SOLID, FLAT):
        picture_folder(tmp_path, style).mkdir(parents=True)
    Image.new("RGBA", (256, 256), (0, 0, 255, 255)).save(picture_folder(tmp_path, SOLID) / "1.webp", lossless=True)
    (picture_folder(tmp_path, FLAT) / "1.svg").write_text(HALF_RED)
    write_records(tmp_path, [solid, flat])
    views, originals = load_pictures(tmp_path)
    assert [tuple(view[0, 0, 0]) for view in views] == [(0, 0, 255, 255), (255, 0, 0, 255)]
    assert originals.shape == (2, 256, 256, 4)
    (tmp_path / FULL_FILE).unlink()
    assert len(load_pictures(tmp_path)[1]) == 2
    write_records(tmp_path, [flat, solid])
    assert [tuple(view[0, 0, 0]) for view in load_pictures(tmp_path)[0]] == [(255, 0, 0, 255), (0, 0, 255, 255)]
