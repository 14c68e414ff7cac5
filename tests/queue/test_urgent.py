"""Urgent jobs over the wire: to workers whose slots are taken, of the tiers that they name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, queue_server


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue."""
    async with queue_server(data, authority) as caller:
        yield caller


async def test_urgent_jobs_go_to_a_worker_without_a_free_slot(queue: Caller) -> None:
    """Ensures that jobs of the tiers a worker names reach it beyond its credits, marked as such, and no others do."""
    worker = queue.worker()
    welcome = await worker.hello(credit=1)
    assert welcome.takes_urgent
    await queue.enqueue("r1", tier="free")
    assert not (await worker.lease()).urgent
    await queue.enqueue("r2", tier="free")
    await worker.send(urgent=work_pb2.Urgent(jobs=1, tiers=["plus", "pro"]))
    for number in range(2):
        await queue.enqueue(f"paid{number}", tier="pro")
    lease = await worker.lease()
    assert (lease.urgent, lease.job.tier, lease.job.job_id) == (True, "pro", lease.ref.job_id)
    # The second has to wait: nothing else comes until there is a credit, and that goes by the tiers' shares.
    await worker.send(credit=work_pb2.Credit(jobs=2))
    rest = [await worker.lease() for _ in range(2)]
    assert {each.job.tier for each in rest} == {"free", "pro"}
    assert not any(each.urgent for each in rest)


async def test_what_a_worker_says_of_urgent_jobs_replaces_what_it_said(queue: Caller) -> None:
    """Ensures that a worker can take it back: what it could have taken yesterday does not come today."""
    worker = queue.worker()
    await worker.hello()
    await queue.enqueue("r0", tier="free")
    await worker.send(urgent=work_pb2.Urgent(jobs=5, tiers=["pro"]))
    await worker.send(urgent=work_pb2.Urgent())
    await worker.send(credit=work_pb2.Credit(jobs=1))
    assert (await worker.lease()).job.tier == "free"
    await queue.enqueue("r1", tier="pro")
    await worker.send(credit=work_pb2.Credit(jobs=1))
    assert not (await worker.lease()).urgent


async def test_a_credit_goes_before_what_is_urgent(queue: Caller) -> None:
    """Ensures that nobody makes way on one worker while another has a free slot."""
    busy, free = queue.worker("busy"), queue.worker("free")
    await busy.hello()
    await queue.enqueue("r0", tier="free")
    await busy.send(urgent=work_pb2.Urgent(jobs=1, tiers=["pro"]))
    await busy.send(credit=work_pb2.Credit(jobs=1))
    await busy.lease()
    await free.hello(credit=1)
    await queue.enqueue("r1", tier="free")
    lease = await free.lease()
    await free.send(credit=work_pb2.Credit(jobs=1))
    await free.complete(lease)
    await queue.enqueue("r2", tier="pro")
    assert not (await free.lease()).urgent
    await queue.enqueue("r3", tier="pro")
    assert (await busy.lease()).urgent
