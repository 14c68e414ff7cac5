"""Fixtures for the tests of the client and the command line."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_arrives() -> Iterator[None]:
    """Commands that the tests start can be interrupted, also where the tests themselves run in the background and cannot."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
