"""Fixtures for the tests of auth."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime.tls import Authority
from tests.auth.serving import Auth, serving_auth
from tests.support.clock import ManualClock


@pytest.fixture
def settings(data: Path) -> AuthSettings:
    """Settings with the cheapest hashing that is allowed."""
    return AuthSettings(data=data, port=0, metrics_port=0, hashing_threads=1, hashing_memory_kib=7 * 1024, hashing_passes=1)


@pytest.fixture
async def auth(settings: AuthSettings, authority: Authority, clock: ManualClock) -> AsyncIterator[Auth]:
    """The running service."""
    async with serving_auth(settings, authority, clock) as running:
        yield running
