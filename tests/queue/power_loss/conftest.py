"""The disk in memory, beneath SQLite for one test."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from mezzotint.queue import sqlite_writer
from tests.queue.power_loss.vfs import PowerLossVfs, power_loss_vfs


@pytest.fixture
def vfs(monkeypatch: pytest.MonkeyPatch) -> Iterator[PowerLossVfs]:
    """The disk in memory. The log is kept short, so that it is often copied into the database."""
    monkeypatch.setattr(sqlite_writer, "LOG_PAGES_MAX", 20)
    with power_loss_vfs() as vfs, capture_logs():  # a traceback for every cut would take longer than the cut
        yield vfs
