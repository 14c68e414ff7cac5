"""Pictures as files and in a terminal."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from mezzotint_client import Picture
from mezzotint_client.cli.halfblocks import halfblocks
from mezzotint_client.cli.pictures import save_pictures, slug


def picture(index: int = 0, encoding: str = "png") -> Picture:
    return Picture(index, encoding, 2, 2, 1, f"picture {index}".encode())


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_is_named_after_its_prompt_and_none_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --out the names are made of the prompt, and of a number where one is taken."""
    monkeypatch.chdir(tmp_path)
    assert save_pictures([picture()], None, "A red heart!") == [Path("out/a-red-heart.png")]
    assert save_pictures([picture()], None, "A red heart!") == [Path("out/a-red-heart-2.png")]
    assert save_pictures([picture(0, "jpeg"), picture(1, "jpeg")], None, "two") == [
        Path("out/two-0.jpg"),
        Path("out/two-1.jpg"),
    ]


def test_out_is_a_file_or_a_folder(tmp_path: Path) -> None:
    """A file's name is taken as it is, with numbers for several; a folder gets names made of the prompt."""
    assert save_pictures([picture()], tmp_path / "new" / "heart.png", "x") == [tmp_path / "new" / "heart.png"]
    assert save_pictures([picture()], tmp_path / "new" / "heart.png", "x") == [tmp_path / "new" / "heart.png"]
    several = save_pictures([picture(0), picture(1)], tmp_path / "heart.png", "x")
    assert several == [tmp_path / "heart-0.png", tmp_path / "heart-1.png"]
    assert save_pictures([picture()], tmp_path / "folder", "x") == [tmp_path / "folder" / "x.png"]
    assert several[1].read_bytes() == b"picture 1"


@given(st.text(max_size=200))
def test_a_slug_is_a_name_in_one_folder(text: str) -> None:
    """Whatever the prompt, its file has a short name without slashes, dots in front or control characters."""
    name = slug(text)
    assert 0 < len(name) <= 60
    assert name == Path(name).name
    assert name.isprintable()
    assert not name.startswith((".", "-"))


def test_two_pixels_share_a_cell() -> None:
    """The upper pixel is the block's colour, the lower its background, and transparent ones stay empty."""
    image = Image.new("RGBA", (3, 2))
    image.putpixel((0, 0), (255, 0, 0, 255))
    image.putpixel((0, 1), (0, 0, 255, 255))
    image.putpixel((1, 1), (0, 255, 0, 255))
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=True, color_system="truecolor", width=10)
    console.print(halfblocks(encoded(image), 10, 10), end="")
    first = "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m"
    assert buffer.getvalue() == f"{first}\x1b[38;2;0;255;0m▄\x1b[0m \n"


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 80), st.integers(1, 30))
def test_a_picture_fits_its_place(width: int, height: int, columns: int, rows: int) -> None:
    """Of whatever shape, a picture takes no more columns and rows than it was given."""
    lines = halfblocks(encoded(Image.new("RGB", (width, height), "red")), columns, rows).plain.splitlines()
    assert 0 < len(lines) <= rows
    assert all(0 < len(line) <= columns for line in lines)
