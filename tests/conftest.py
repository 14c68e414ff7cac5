"""Fixtures for all tests."""

from pathlib import Path

import pytest

from mezzotint.runtime.tls import Authority
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test turns."""
    return ManualClock()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    return tmp_path / "data"


@pytest.fixture
def authority(data: Path) -> Authority:
    """The certificate authority of the data folder."""
    return Authority.open(data)
