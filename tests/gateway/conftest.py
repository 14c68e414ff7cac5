"""What the tests of the gateway share: the five services, and a person with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import openai
import pytest
import pytest_asyncio

from tests.gateway.suite import Suite, public, running
from tests.support.people import Person, sign_up


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """The five services over a model that draws at once, for tests that leave them as they are."""
    async with running(tmp_path_factory.mktemp("suite") / "data") as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """An end user's channel to the gRPC door."""
    async with public(suite) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def person(channel: grpc.aio.Channel) -> Person:
    """A new account in the tier free."""
    return await sign_up(channel)


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(suite: Suite, person: Person) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK with the person's key, and no retries that would hide an error."""
    async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=person.secret, max_retries=0) as client:
        yield client
