"""A virtual environment for each peer, made once in a cache folder: their dependencies are no business of ours."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Protocol

INSTALL_SECONDS_MAX = 600.0


class Peer(Protocol):
    """Whoever needs an environment. Without `requirements` it runs in the benchmark's own."""

    @property
    def name(self) -> str:
        """The beginning of the environment's folder's name."""
        ...

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is to install."""
        ...


class PeerAbsent(Exception):
    """The peer cannot run here; the message says why."""


def python_of(peer: Peer, cache: Path, *, install: bool) -> Path:
    """The Python that runs the peer, its environment made if it is new and `install`. Raises PeerAbsent."""
    if not peer.requirements:
        return Path(sys.executable)
    digest = hashlib.sha256("\n".join((sys.version, *peer.requirements)).encode()).hexdigest()[:12]
    folder = cache / f"{peer.name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        if not install:
            raise PeerAbsent(f"its environment is not in {cache}, and nothing is to be installed")
        _make(folder, python, peer)
    return python


def _make(folder: Path, python: Path, peer: Peer) -> None:
    """Make the environment; one that was not completed is made again. Raises PeerAbsent."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise PeerAbsent(f"its packages were not installed in {INSTALL_SECONDS_MAX:g} s") from None
    if done.returncode:
        raise PeerAbsent(f"its packages cannot be installed: {' '.join(done.stderr.split())[-300:]}")
    (folder / "complete").touch()
