"""A data package is used only if its archive is the pinned one."""

import hashlib
import re
from pathlib import Path

import pytest

from training.aquatint.fetch import (
    PACKAGES,
    PICTURES,
    DataPackage,
    DigestMismatchError,
    LicenceError,
    verify_archive,
    verify_licence,
)
from training.aquatint.locations import MODEL_DIR


def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"not what was pinned")
    with pytest.raises(DigestMismatchError, match=r"package\.tgz"):
        verify_archive(archive, PICTURES.sha256)
    verify_archive(archive, hashlib.sha256(archive.read_bytes()).hexdigest())


@pytest.mark.parametrize("package", PACKAGES, ids=[package.folder for package in PACKAGES])
def test_versions_and_digests_are_pinned(package: DataPackage) -> None:
    assert re.search(r"@\d+\.\d+\.\d+$", package.spec)
    assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)


def test_a_package_under_another_licence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    declaration = tmp_path / "package" / "package.json"
    declaration.write_text('{"license": "CC-BY-NC-4.0"}')
    with pytest.raises(LicenceError, match="CC-BY-NC"):
        verify_licence(PICTURES, tmp_path)
    declaration.write_text('{"license": "MIT"}')
    verify_licence(PICTURES, tmp_path)


@pytest.mark.parametrize("package", PACKAGES, ids=[package.folder for package in PACKAGES])
def test_the_notice_names_every_package(package: DataPackage) -> None:
    name, _, version = package.spec.rpartition("@")
    assert f"{name} {version}" in (MODEL_DIR / "NOTICE").read_text(encoding="utf-8")
    assert f"{package.licence} License" in (MODEL_DIR / "NOTICE").read_text(encoding="utf-8")
