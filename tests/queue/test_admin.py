"""The operator's calls over the wire, with good and bad input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.runtime.tls import Authority
from tests.queue.operating import Operator, dies, operated, stats
from tests.queue.wire import Caller, queue_server, refusal, within
from tests.support.clock import ManualClock

Sides = tuple[Caller, Operator]


@pytest.fixture
async def sides(data: Path, authority: Authority) -> AsyncIterator[Sides]:
    """A running queue: its callers' side and its operator's."""
    async with operated(data, authority) as both:
        yield both


async def test_a_paused_tier_waits_and_the_others_go_on(sides: Sides) -> None:
    """Ensures that a paused tier's jobs are accepted and not handed out, and start at once when it is resumed."""
    queue, operator = sides
    for _ in range(2):
        await operator.pause("free")
    free, pro = await queue.enqueue("r1"), await queue.enqueue("r2", tier="pro")
    worker = queue.worker()
    await worker.hello(credit=2)
    assert (await worker.lease()).ref.job_id == pro.job_id
    _, tiers = await stats(queue)
    assert (tiers["free"].paused, tiers["free"].queued, tiers["pro"].paused) == (True, 1, False)
    for _ in range(2):
        await operator.resume("free")
    assert (await worker.lease()).ref.job_id == free.job_id
    assert not (await stats(queue))[1]["free"].paused


async def test_an_unknown_tier_cannot_be_paused(sides: Sides) -> None:
    """Ensures that a misspelt tier is told, with those that there are."""
    _, operator = sides
    assert await refusal(operator.pause("fre")) == "TIER_UNKNOWN"
    assert await refusal(operator.resume("fre")) == "TIER_UNKNOWN"
    assert await refusal(operator.pause("")) == "FIELD_INVALID"


async def test_pauses_outlive_a_restart(data: Path, authority: Authority) -> None:
    """Ensures that a tier stays paused until somebody resumes it."""
    async with operated(data, authority) as (queue, operator):
        await operator.pause("free")
        free = await queue.enqueue("r1")
    async with operated(data, authority) as (queue, operator):
        pro = await queue.enqueue("r2", tier="pro")
        worker = queue.worker()
        await worker.hello(credit=2)
        assert (await worker.lease()).ref.job_id == pro.job_id
        assert (await queue.get(free.job_id)).state == job_pb2.JOB_STATE_QUEUED
        assert (await stats(queue))[1]["free"].paused
        await operator.resume("free")
        assert (await worker.lease()).job.tier == "free"


async def test_workers_are_listed_by_id_in_pages(sides: Sides) -> None:
    """Ensures that what a worker said and holds is shown, and that pages neither repeat nor miss one."""
    queue, operator = sides
    strange = "\u0175" * 64
    first = queue.worker("w1")
    await first.hello(slots=8, credit=3)
    await queue.enqueue()
    await first.lease()
    for name in ("w3", strange, "w2"):
        await queue.worker(name).hello()
    names, token = [], ""
    while True:
        page = await operator.workers(page_size=1, page_token=token)
        names += [each.worker_id for each in page.workers]
        if not (token := page.next_page_token):
            break
    assert names == ["w1", "w2", "w3", strange]
    shown = (await operator.workers()).workers[0]
    assert (list(shown.kinds), shown.slots, shown.leases, shown.credits) == (["image.generate"], 8, 1, 2)
    assert len((await operator.workers()).workers) == 4


async def test_a_foreign_page_token_is_refused(sides: Sides) -> None:
    """Ensures that a token is good for the list that it came from only."""
    queue, operator = sides
    for name in ("w1", "w2"):
        await queue.worker(name).hello()
    token = (await operator.workers(page_size=1)).next_page_token
    assert await refusal(operator.dead(page_token=token)) == "PAGE_TOKEN_INVALID"
    assert await refusal(operator.workers(page_token="nonsense")) == "PAGE_TOKEN_INVALID"
    for number in range(2):
        await queue.enqueue(f"r{number}")
    page = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=1))
    assert await refusal(operator.workers(page_token=page.next_page_token)) == "PAGE_TOKEN_INVALID"
    assert await refusal(operator.dead(page_token=page.next_page_token)) == "PAGE_TOKEN_INVALID"


async def test_a_drained_worker_gets_no_more_until_it_comes_back(sides: Sides) -> None:
    """Ensures that it is told, keeps what it holds, gets nothing more, and is like new on its next stream."""
    queue, operator = sides
    worker, other = queue.worker("w1"), queue.worker("w2")
    await worker.hello(credit=5)
    held = await queue.enqueue("r1")
    lease = await worker.lease()
    assert await operator.drain("w1", "w1") == 1
    await worker.expect("drain")
    waiting = await queue.enqueue("r2")
    listed = {each.worker_id: each for each in (await operator.workers()).workers}
    assert (listed["w1"].draining, listed["w1"].leases) == (True, 1)
    await other.hello(credit=1)
    assert (await other.lease()).ref.job_id == waiting.job_id
    assert (await worker.complete(lease)).accepted
    await worker.leave()
    assert (await queue.get(held.job_id)).state == job_pb2.JOB_STATE_SUCCEEDED
    again = queue.worker("w1")
    await again.hello(credit=1)
    third = await queue.enqueue("r3")
    assert (await again.lease()).ref.job_id == third.job_id


async def test_all_workers_are_drained_when_none_is_named(sides: Sides) -> None:
    """Ensures that an empty list means all, also when there are none."""
    queue, operator = sides
    assert await operator.drain() == 0
    workers = [queue.worker(name) for name in ("w1", "w2")]
    for worker in workers:
        await worker.hello()
    assert await operator.drain() == 2
    for worker in workers:
        await worker.expect("drain")


async def test_an_unknown_worker_cannot_be_drained(sides: Sides) -> None:
    """Ensures that nobody is told when one of them is not there."""
    queue, operator = sides
    await queue.worker("w1").hello()
    assert await refusal(operator.drain("w1", "w9")) == "WORKER_NOT_FOUND"
    assert not (await operator.workers()).workers[0].draining


async def test_dead_jobs_are_listed_with_the_begin_of_their_payload(sides: Sides) -> None:
    """Ensures that failed jobs are shown newest first with why, filtered, in pages."""
    queue, operator = sides
    worker = queue.worker()
    await worker.hello()
    payload = bytes(range(256)) * 8
    first = await dies(queue, worker, "r1", payload=payload)
    second = await dies(queue, worker, "r2", "SIZE_UNSUPPORTED", tier="pro")
    await queue.cancel((await queue.enqueue("r3")).job_id)
    page = await operator.dead(page_size=1)
    assert [dead.job.job_id for dead in page.jobs] == [second.job_id]
    page = await operator.dead(page_size=1, page_token=page.next_page_token)
    assert [dead.job.job_id for dead in page.jobs] == [first.job_id]
    assert not page.next_page_token
    dead = page.jobs[0]
    assert (dead.payload_preview, dead.payload_bytes) == (payload[:1024], 2048)
    assert (dead.job.failure.reason, dead.job.failure.message) == ("JOB_FAILED", "it broke")
    assert [each.job.job_id for each in (await operator.dead(tier="pro")).jobs] == [second.job_id]
    assert [each.job.job_id for each in (await operator.dead(reason="JOB_FAILED")).jobs] == [first.job_id]
    token = (await operator.dead(page_size=1)).next_page_token
    assert await refusal(operator.dead(page_size=1, page_token=token, tier="pro")) == "PAGE_TOKEN_INVALID"
    assert await refusal(operator.dead(page_size=101)) == "FIELD_INVALID"


async def test_a_redrive_does_a_dead_jobs_work_again_once(sides: Sides) -> None:
    """Ensures that the new job has all of the old one, that it is told of it, and that a second redrive does nothing."""
    queue, operator = sides
    worker = queue.worker()
    await worker.hello()
    dead = await dies(queue, worker, "r1", payload=b"a red heart", labels={"shop": "17"}, attempts_max=2, cost_ms=77)
    answer = await operator.redrive()
    assert answer.redriven == 1
    assert (await operator.redrive(dead.job_id)).redriven == 0
    assert not (await operator.redrive()).HasField("last_not_before")
    redriven = await queue.get((await queue.get(dead.job_id)).redriven_by)
    assert dict(redriven.labels) == {"shop": "17"}
    assert (redriven.account_id, redriven.tier, redriven.kind) == (dead.account_id, dead.tier, dead.kind)
    await worker.send(credit={"jobs": 1})
    lease = await worker.lease()
    assert (lease.ref.job_id, lease.payload, lease.job.cost_ms) == (redriven.job_id, b"a red heart", 77)
    assert (await worker.complete(lease)).accepted
    assert not (await operator.dead()).jobs


async def test_a_redrive_is_spread_over_time(data: Path, authority: Authority) -> None:
    """Ensures that many dead jobs come back one after the other at the given rate, the oldest first."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        operator = Operator(queue, authority)
        worker = queue.worker()
        await worker.hello()
        dead = [await dies(queue, worker, f"r{number}") for number in range(4)]
        answer = await operator.redrive(per_second=0.5)
        assert answer.redriven == 4
        assert answer.last_not_before.ToSeconds() == int(clock.now()) + 6
        jobs = [await queue.get((await queue.get(each.job_id)).redriven_by) for each in dead]
        assert [job.state for job in jobs] == [job_pb2.JOB_STATE_QUEUED] + [job_pb2.JOB_STATE_DEFERRED] * 3
        assert [round(job.not_before.ToSeconds() - clock.now()) for job in jobs[1:]] == [2, 4, 6]
        await worker.send(credit={"jobs": 4})
        for job in jobs:
            lease = await worker.lease()
            assert lease.ref.job_id == job.job_id
            await worker.complete(lease)
            clock.advance(2.1)
        await operator.channel.close()


async def test_what_is_not_dead_cannot_be_redriven(sides: Sides) -> None:
    """Ensures that a running, a waiting and an unknown job are refused by name, and that nothing is done then."""
    queue, operator = sides
    worker = queue.worker()
    await worker.hello()
    dead = await dies(queue, worker, "r1")
    running = await queue.enqueue("r2")
    assert await refusal(operator.redrive(dead.job_id, running.job_id)) == "FIELD_INVALID"
    await worker.send(credit={"jobs": 1})
    await worker.lease()
    assert await refusal(operator.redrive(running.job_id)) == "FIELD_INVALID"
    assert await refusal(operator.redrive("job_nobody")) == "FIELD_INVALID"
    assert await refusal(operator.redrive(per_second=1001)) == "FIELD_INVALID"
    assert await refusal(operator.redrive(per_second=-1)) == "FIELD_INVALID"
    assert [each.job.job_id for each in (await operator.dead()).jobs] == [dead.job_id]


async def test_redrives_at_the_same_moment_make_one_job_each(sides: Sides) -> None:
    """Ensures that operators who press the button together double nothing."""
    queue, operator = sides
    worker = queue.worker()
    await worker.hello()
    for number in range(5):
        await dies(queue, worker, f"r{number}")
    answers = await asyncio.gather(*(operator.redrive() for _ in range(6)))
    assert sum(answer.redriven for answer in answers) == 5
    everything = await queue.stub.ListJobs(queue_pb2.ListJobsRequest(page_size=100))
    assert len(everything.jobs) == 10


async def test_a_full_queue_ends_a_redrive_and_keeps_what_was_done(data: Path, authority: Authority) -> None:
    """Ensures that the operator is told to come back, and that a later try does the rest."""
    async with operated(data, authority, account_waiting_max=2) as (queue, operator):
        worker = queue.worker()
        await worker.hello()
        for number in range(3):
            await dies(queue, worker, f"r{number}")
        assert await refusal(operator.redrive()) == "SERVER_OVERLOADED"
        assert len((await operator.dead()).jobs) == 1
        await worker.send(credit={"jobs": 2})
        for _ in range(2):
            await worker.complete(await within(worker.lease()))
        assert (await operator.redrive()).redriven == 1


async def test_a_policy_is_reloaded_or_refused(data: Path, authority: Authority, tmp_path: Path) -> None:
    """Ensures that a good file is in force when the call returns, and that a bad one is refused with its line."""
    policy = tmp_path / "tiers.yaml"
    policy.write_text("tiers:\n  - name: free\n")
    async with operated(data, authority, tiers=policy) as (queue, operator):
        assert not (await operator.reload()).changed
        policy.write_text("tiers:\n  - name: free\n  - name: gold\n    weight: 3\n")
        answer = await operator.reload()
        assert list(answer.tiers) == ["free", "gold"]
        await queue.enqueue("r1", tier="gold")
        assert list((await stats(queue))[1]) == ["free", "gold"]
        policy.write_text("tiers:\n  - name: free\n    weigth: 3\n")
        assert await refusal(operator.reload()) == "POLICY_INVALID"
        await queue.enqueue("r2", tier="gold")
