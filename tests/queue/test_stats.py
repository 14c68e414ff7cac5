"""Figures over the wire and as Prometheus metrics."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, work_pb2
from mezzotint.queue import metrics
from mezzotint.queue.census import TierCount
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.stats import Stats, TierStats
from mezzotint.runtime.tls import Authority
from tests.queue.operating import Operator, stats
from tests.queue.wire import queue_server
from tests.support.clock import ManualClock


def value(name: str, **labels: str) -> float:
    """A metric as Prometheus would see it."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_every_field_of_a_tier_is_real(data: Path, authority: Authority) -> None:
    """Ensures that waits, rates, shares, pauses and the peak are told as they are."""
    clock = ManualClock()
    async with queue_server(data, authority, clock) as queue:
        clock.advance(60)
        worker = queue.worker()
        await worker.hello(credit=1)
        await queue.enqueue("r1", tier="pro")
        await worker.complete(await worker.lease())
        await Operator(queue, authority).pause("free")
        await queue.enqueue("r2")
        await queue.enqueue("r3", not_before={"seconds": round(clock.now()) + 600})
        clock.advance(30)
        whole, tiers = await stats(queue)
        free, pro = tiers["free"], tiers["pro"]
        assert (free.queued, free.deferred, free.running, free.paused) == (1, 1, 0, True)
        assert free.oldest_wait.ToSeconds() == 30
        assert (free.starts_per_second, free.share, free.aged) == (0, 0, 0)
        assert (pro.starts_per_second, pro.share, pro.paused) == (1 / 60, 1.0, False)
        assert (whole.workers, whole.credits, whole.peak_mode) == (1, 0, queue_pb2.PEAK_MODE_NORMAL)
        assert whole.paid_wait_objective.ToNanoseconds() > 0


async def test_metrics_count_what_happens(data: Path, authority: Authority) -> None:
    """Ensures that jobs, starts, ends, retries, lost and refused leases and commits are all counted."""
    names = {
        "accepted": ("mezzotint_queue_jobs_accepted_total", {"tier": "free"}),
        "started": ("mezzotint_queue_jobs_started_total", {"tier": "free"}),
        "failed": ("mezzotint_queue_jobs_ended_total", {"tier": "free", "state": "failed"}),
        "retried": ("mezzotint_queue_attempts_failed_total", {"tier": "free", "failure": "worker_lost"}),
        "lost": ("mezzotint_queue_leases_lost_total", {"tier": "free"}),
        "refused": ("mezzotint_queue_settlements_refused_total", {"reason": "LEASE_STALE"}),
        "waits": ("mezzotint_queue_wait_seconds_count", {"tier": "free"}),
        "attempts": ("mezzotint_queue_attempts_sum", {"tier": "free"}),
    }
    before = {key: value(name, **labels) for key, (name, labels) in names.items()}
    commits = value("mezzotint_queue_commit_seconds_count")
    async with queue_server(data, authority, lease_seconds=0.2, grace_seconds=0.2) as queue:
        worker = queue.worker()
        await worker.hello(credit=1)
        await queue.enqueue("r1", attempts_max=2)
        lease = await worker.lease()
        await worker.expect("cancel")
        assert not (await worker.complete(lease)).accepted
        await worker.send(credit=work_pb2.Credit(jobs=1))
        again = await worker.lease()
        assert (await worker.fail(again, job_pb2.FAILURE_CLASS_RETRYABLE)).accepted
        counted = {key: value(name, **labels) - before[key] for key, (name, labels) in names.items()}
    wanted = {"accepted": 1, "started": 2, "failed": 1, "retried": 1, "lost": 1, "refused": 1, "waits": 1, "attempts": 2}
    assert counted == wanted
    assert value("mezzotint_queue_commit_seconds_count") - commits >= 5
    assert value("mezzotint_queue_commit_operations_sum") >= value("mezzotint_queue_commit_operations_count")
    assert value("mezzotint_queue_wal_bytes") > 0


def test_gauges_show_the_figures() -> None:
    """Ensures that what a dashboard shows is what WatchStats says, and that the mode before does not stay."""
    clock = ManualClock()
    shown: list[PeakMode] = []
    count = TierCount("gold", queued=3, deferred=2, running=1, oldest_wait=4.5, starts_per_second=0.0, share=0.0)

    def read() -> Stats:
        shown.append(PeakMode.DEFERRING if shown else PeakMode.NORMAL)
        return Stats([TierStats(count, paused=True, aged=0)], 5, 6, shown[-1], 7.5, 10.0)

    display = metrics.Display(read, clock)
    display.tick()
    display.tick()
    assert shown == [PeakMode.NORMAL]
    names = ("jobs_waiting", "jobs_deferred", "jobs_running", "oldest_wait_seconds", "tier_paused")
    assert [value(f"mezzotint_queue_{name}", tier="gold") for name in names] == [3, 2, 1, 4.5, 1]
    assert [value(f"mezzotint_queue_{name}") for name in ("workers", "credits", "paid_wait_seconds")] == [5, 6, 7.5]
    clock.advance(metrics.SHOW_SECONDS)
    display.tick()
    modes = [value("mezzotint_queue_peak_mode", mode=mode) for mode in ("normal", "pressured", "deferring")]
    assert modes == [0, 0, 1]
