"""Labels and the filters of lists over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mezzotint.api.queue.v1 import queue_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.operating import listed
from tests.queue.wire import Caller, new_job, queue_server, refusal, within


@pytest.fixture
async def queue(data: Path, authority: Authority) -> AsyncIterator[Caller]:
    """A running queue."""
    async with queue_server(data, authority) as caller:
        yield caller


async def test_labels_come_back_with_the_job(queue: Caller) -> None:
    """Ensures that a job keeps its labels, its worker sees them, and a retry must have the same."""
    labels = {"order": "17", "team/shop.eu": "", "A" * 63: "v" * 63}
    job = await queue.enqueue("r1", labels=labels)
    assert dict(job.labels) == dict((await queue.get(job.job_id)).labels) == labels
    worker = queue.worker()
    await worker.hello(credit=1)
    assert dict((await worker.lease()).job.labels) == labels
    assert (await queue.enqueue("r1", labels=labels)).job_id == job.job_id
    assert await refusal(queue.enqueue("r1", labels={"order": "18"})) == "REQUEST_ID_REUSED"
    assert await refusal(queue.enqueue("r1")) == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    "labels",
    [
        {f"k{number}": "" for number in range(17)},
        {"": "x"},
        {"-k": "x"},
        {"k" * 64: "x"},
        {"ключ": "x"},
        {"k k": "x"},
        {"k": "v" * 64},
        {"k": "a b"},
        {"k": "x\n"},
        {"k": "\u0000"},
    ],
    ids=repr,
)
async def test_labels_that_break_the_rules_are_refused(queue: Caller, labels: dict[str, str]) -> None:
    """Ensures that seventeen, and keys and values of other characters or too long, are the caller's mistake."""
    assert await refusal(queue.enqueue("r1", labels=labels)) == "FIELD_INVALID"
    assert (await queue.enqueue("r2", labels={f"k{number}": "" for number in range(16)})).job_id


async def test_lists_are_narrowed_by_every_filter(queue: Caller) -> None:
    """Ensures that tier, kind and labels, alone and together, give exactly the jobs that have them."""
    fields: list[dict[str, Any]] = [
        {"tier": "free", "kind": "image.generate", "labels": {"shop": "1", "day": "mon"}},
        {"tier": "pro", "kind": "image.generate", "labels": {"shop": "1", "day": "tue"}},
        {"tier": "pro", "kind": "image.edit", "labels": {"shop": "2"}},
        {"tier": "pro", "kind": "image.edit"},
    ]
    ids = [(await queue.enqueue(f"r{index}", **each)).job_id for index, each in enumerate(fields)]
    assert await listed(queue, tier="pro") == [ids[3], ids[2], ids[1]]
    assert await listed(queue, kind="image.edit") == [ids[3], ids[2]]
    assert await listed(queue, labels={"shop": "1"}) == [ids[1], ids[0]]
    assert await listed(queue, labels={"shop": "1", "day": "tue"}) == [ids[1]]
    assert await listed(queue, labels={"shop": "1", "day": "wed"}) == []
    assert await listed(queue, tier="pro", kind="image.edit", labels={"shop": "2"}) == [ids[2]]
    assert await listed(queue, tier="nowhere") == []
    await queue.cancel(ids[1])
    assert await listed(queue, labels={"shop": "1"}, account_id="acct_1") == [ids[1], ids[0]]


@pytest.mark.parametrize(
    "other",
    [
        {"tier": ""},
        {"tier": "pro"},
        {"kind": "x"},
        {"labels": {"a": "c"}},
        {"labels": {}},
        {"account_id": "x"},
        {"states": [1]},
    ],
    ids=repr,
)
async def test_a_page_token_belongs_to_its_filters(queue: Caller, other: dict[str, Any]) -> None:
    """Ensures that a token of one query is refused by every other one, and goes on with its own."""
    ids = [(await queue.enqueue(f"r{number}", labels={"a": "b"})).job_id for number in range(3)]
    mine: dict[str, Any] = {"labels": {"a": "b"}, "tier": "free", "page_size": 2}
    page = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(**mine))
    assert [job.job_id for job in page.jobs] == [ids[2], ids[1]]
    assert await listed(queue, **mine, page_token=page.next_page_token) == [ids[0]]
    foreign = queue_pb2.ListJobsRequest(**(mine | other), page_token=page.next_page_token)
    assert await refusal(queue.stub.ListJobs(foreign)) == "PAGE_TOKEN_INVALID"


async def test_a_stream_refuses_a_job_alone(queue: Caller) -> None:
    """Ensures that a time too far away in a batch is refused for its own job and the others are accepted."""
    jobs = [new_job("r1", labels={"a": "b"}), new_job("r2", not_before={"seconds": 2**40}), new_job("r3")]
    call: Any = queue.stub.EnqueueJobs()
    await call.write(queue_pb2.EnqueueJobsRequest(jobs=jobs))
    await call.done_writing()
    outcomes = (await within(call.read())).outcomes
    assert [each.WhichOneof("outcome") for each in outcomes] == ["job", "refusal", "job"]
    assert outcomes[1].refusal.reason == "FIELD_INVALID"
    assert dict(outcomes[0].job.labels) == {"a": "b"}
