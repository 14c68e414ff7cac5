"""A data package is used only if its archive is the pinned one."""

import hashlib
import re
from pathlib import Path

import pytest

from training.aquatint.fetch import FLAT_PICTURES, LABELS, PICTURES, DataPackage, DigestMismatchError, verify_archive


def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"not what was pinned")
    with pytest.raises(DigestMismatchError, match=r"package\.tgz"):
        verify_archive(archive, PICTURES.sha256)
    verify_archive(archive, hashlib.sha256(archive.read_bytes()).hexdigest())


@pytest.mark.parametrize("package", [PICTURES, FLAT_PICTURES, LABELS], ids=["pictures", "flat pictures", "labels"])
def test_versions_and_digests_are_pinned(package: DataPackage) -> None:
    assert re.search(r"@\d+\.\d+\.\d+$", package.spec)
    assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
