"""Fetch the pinned data packages with npm, verify them, and unpack them into the cache.

``python -m training.aquatint.fetch [--cache DIR]``
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from training.aquatint.locations import default_cache_dir


@dataclass(frozen=True)
class DataPackage:
    """One npm package, pinned to a version and to the digest of its archive, and the licence that it comes under."""

    folder: str
    spec: str
    sha256: str
    licence: str = "MIT"


PICTURES = DataPackage(
    folder="pictures",
    spec="@lobehub/fluent-emoji-3d@1.1.0",
    sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
)
FLAT_PICTURES = DataPackage(
    folder="flat_pictures",
    spec="@lobehub/fluent-emoji-flat@1.1.0",
    sha256="8f9113c027c7c20eced0070354715a4093a459b8bef6332b91d45f38c9bdb147",
)
LABELS = DataPackage(
    folder="labels",
    spec="emojibase-data@17.0.0",
    sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)


PACKAGES = (PICTURES, FLAT_PICTURES, LABELS)


class DigestMismatchError(RuntimeError):
    """The archive is not the one that was pinned; nothing of it was unpacked."""


class LicenceError(RuntimeError):
    """The package declares another licence than the one that the NOTICE names; it is not used."""


def verify_archive(archive: Path, expected_sha256: str) -> None:
    """Raise ``DigestMismatchError`` unless the archive has the pinned digest."""
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != expected_sha256:
        raise DigestMismatchError(f"{archive.name}: sha256 is {actual}, pinned {expected_sha256}")


def verify_licence(package: DataPackage, unpacked: Path) -> None:
    """Raise ``LicenceError`` unless the package declares the licence that was recorded."""
    declared = json.loads((unpacked / "package" / "package.json").read_text(encoding="utf-8")).get("license")
    if declared != package.licence:
        raise LicenceError(f"{package.spec}: declares the licence {declared!r}, recorded is {package.licence!r}; read it first")


def download_archive(package: DataPackage, directory: Path) -> Path:
    """Run ``npm pack`` in ``directory`` and return the archive that it wrote."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed; it downloads the data packages")
    finished = subprocess.run(
        [npm, "pack", "--silent", package.spec],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return directory / finished.stdout.strip().splitlines()[-1]


def fetch_package(package: DataPackage, cache_dir: Path) -> Path:
    """Return the unpacked package folder, downloading it only if it is not there yet."""
    target = cache_dir / package.folder
    stamp = target / ".sha256"
    if stamp.exists() and stamp.read_text() == package.sha256:
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    archive = download_archive(package, cache_dir)
    verify_archive(archive, package.sha256)
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(archive) as opened:
        opened.extractall(target, filter="data")
    archive.unlink()
    verify_licence(package, target)
    stamp.write_text(package.sha256)
    return target


def main() -> None:
    """Fetch every data package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    arguments = parser.parse_args()
    for package in PACKAGES:
        print(f"{package.spec} -> {fetch_package(package, arguments.cache)}", flush=True)


if __name__ == "__main__":
    main()
