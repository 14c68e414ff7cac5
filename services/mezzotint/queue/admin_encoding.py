"""What operators see, as the contract's messages."""

from mezzotint.api.queue.v1 import admin_pb2, queue_pb2
from mezzotint.queue.encoding import duration, job_message
from mezzotint.queue.operations import DeadJob, WorkerSight
from mezzotint.queue.stats import Stats, TierStats


def stats_message(stats: Stats) -> queue_pb2.WatchStatsResponse:
    """How full the queue is."""
    return queue_pb2.WatchStatsResponse(
        tiers=map(_tier_message, stats.tiers),
        workers=stats.workers,
        credits=stats.credits,
        peak_mode=queue_pb2.PeakMode.ValueType(stats.peak_mode),
        paid_wait_p95=duration(stats.paid_wait_p95),
        paid_wait_objective=duration(stats.paid_wait_objective),
    )


def _tier_message(tier: TierStats) -> queue_pb2.TierStats:
    """One tier."""
    count = tier.count
    return queue_pb2.TierStats(
        tier=count.tier,
        queued=count.queued,
        deferred=count.deferred,
        running=count.running,
        paused=tier.paused,
        oldest_wait=duration(count.oldest_wait),
        starts_per_second=count.starts_per_second,
        share=count.share,
        aged=tier.aged,
    )


def worker_message(sight: WorkerSight) -> admin_pb2.Worker:
    """A connected worker."""
    worker = sight.worker
    return admin_pb2.Worker(
        worker_id=worker.worker_id,
        kinds=worker.kinds,
        slots=worker.slots,
        leases=sight.leases,
        credits=worker.credits,
        draining=worker.draining,
    )


def dead_message(dead: DeadJob) -> admin_pb2.DeadJob:
    """A failed job."""
    return admin_pb2.DeadJob(job=job_message(dead.job), payload_preview=dead.payload.begin, payload_bytes=dead.payload.size)
