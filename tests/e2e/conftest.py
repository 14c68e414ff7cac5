"""The five services as real processes with the bundled model, one suite a test file."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from mezzotint.api.queue.v1 import queue_pb2_grpc
from mezzotint.runtime import channel
from mezzotint.runtime.tls import Authority
from mezzotint_client.suite import Suite
from tests.support.people import Person, gateway_channel, sign_up

# Short, so that a worker that was killed is missed within a second or two.
QUICK_LEASES = {"queue": {"MEZZOTINT_QUEUE_GRACE_SECONDS": "2", "MEZZOTINT_QUEUE_LEASE_SECONDS": "3"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A running suite on free ports."""
    async with Suite.start(tmp_path_factory.mktemp("suite"), ports="free", environment=QUICK_LEASES) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the public door."""
    async with gateway_channel(suite.addresses["gateway"], suite.data) as connection:
        yield connection


@pytest_asyncio.fixture(loop_scope="module")
async def person(gateway: grpc.aio.Channel) -> Person:
    """A new account in the tier free."""
    return await sign_up(gateway)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queue(suite: Suite) -> AsyncIterator[queue_pb2_grpc.QueueServiceAsyncStub]:
    """The queue, as an operator sees it."""
    operator = Authority.open(suite.data).identity("operator")
    async with channel.connect(suite.addresses["queue"], "queue", operator) as connection:
        yield queue_pb2_grpc.QueueServiceStub(connection)
