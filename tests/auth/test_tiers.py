"""The file that names the tiers."""

from pathlib import Path

import pytest

from mezzotint.auth import tiers
from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime.errors import FieldInvalid


def test_the_bundled_tiers_are_read() -> None:
    """Ensures that the file that ships is good, in its order."""
    assert tiers.load(AuthSettings().tiers_file) == ("free", "plus", "pro", "enterprise")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("tiers:\n", 1, "list with at least one"),
        ("tiers: []\n", 1, "list with at least one"),
        ("\nother: 1\n", 2, "list with at least one"),
        ("- free\n", 1, "list with at least one"),
        ("just text", 1, "list with at least one"),
        ("tiers:\n  - name: free\n  - weight: 2\n", 3, "needs a `name`"),
        ("tiers:\n  - name: free\n  - name: Pro!\n", 3, "needs a `name`"),
        ("tiers:\n  - name: free\n  - name: [x]\n", 3, "needs a `name`"),
        ("tiers:\n  - free\n", 2, "needs a `name`"),
        ("tiers:\n  - name: free\n  - name: plus\n  - name: free\n", 4, "twice"),
        ("tiers:\n  - name: plus\n", 2, "'free' is missing"),
        ("tiers:\n  - name: free\n  name: [\n", 3, "not YAML"),
        ("tiers:\n\t- name: free\n", 2, "not YAML"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Ensures that whoever wrote the file learns where the mistake is and what it is."""
    path = tmp_path / "tiers.yaml"
    path.write_text(text)
    with pytest.raises(FieldInvalid) as refused:
        tiers.load(path)
    assert f"{path}, line {line}: " in refused.value.message
    assert words in refused.value.message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """Ensures that a binary file is told by its name."""
    path = tmp_path / "tiers.yaml"
    path.write_bytes(b"\xff\xfe\x00tiers")
    with pytest.raises(FieldInvalid, match=r"tiers\.yaml, line 1"):
        tiers.load(path)
