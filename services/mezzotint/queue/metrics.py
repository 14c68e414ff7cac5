"""The queue's Prometheus metrics, counted from its changes and read from its figures."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram

from mezzotint.queue.job import FailureClass, Job, JobEvent, JobState, Transition
from mezzotint.queue.peak import PeakMode
from mezzotint.queue.stats import Stats
from mezzotint.runtime.clock import Clock

Metric = TypeVar("Metric", Counter, Gauge, Histogram)
WAIT_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
COMMIT_BUCKETS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)
# How often the gauges are set.
SHOW_SECONDS = 0.5
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

ACCEPTED = Counter("mezzotint_queue_jobs_accepted", "Jobs accepted.", ["tier"])
STARTED = Counter("mezzotint_queue_jobs_started", "Attempts that began.", ["tier"])
ENDED = Counter("mezzotint_queue_jobs_ended", "Jobs that became final, by how.", ["tier", "state"])
RETRIED = Counter(
    "mezzotint_queue_attempts_failed", "Attempts that failed and are tried again, by the failure's class.", ["tier", "failure"]
)
ATTEMPTS = Histogram("mezzotint_queue_attempts", "Attempts of jobs that became final.", ["tier"], buckets=range(11))
WAIT_SECONDS = Histogram(
    "mezzotint_queue_wait_seconds",
    "Seconds from acceptance, or the not-before time, to the first start.",
    ["tier"],
    buckets=WAIT_BUCKETS,
)
LEASES_LOST = Counter("mezzotint_queue_leases_lost", "Leases whose worker did not answer in time or gave them up.", ["tier"])
STALE = Counter("mezzotint_queue_settlements_refused", "Ends of leases that were refused, by why.", ["reason"])
COMMIT_SECONDS = Histogram("mezzotint_queue_commit_seconds", "Seconds of a commit, fsync included.", buckets=COMMIT_BUCKETS)
COMMIT_OPERATIONS = Histogram("mezzotint_queue_commit_operations", "Operations in one commit.", buckets=BATCH_BUCKETS)
LOG_BYTES = Gauge("mezzotint_queue_wal_bytes", "The write-ahead log's part that is not in the database yet.")
WAITING = Gauge("mezzotint_queue_jobs_waiting", "Jobs that wait for a worker.", ["tier"])
DEFERRED = Gauge("mezzotint_queue_jobs_deferred", "Jobs that wait on purpose.", ["tier"])
RUNNING = Gauge("mezzotint_queue_jobs_running", "Jobs that workers hold.", ["tier"])
OLDEST_SECONDS = Gauge("mezzotint_queue_oldest_wait_seconds", "How long the oldest job waits for a worker.", ["tier"])
PAUSED = Gauge("mezzotint_queue_tier_paused", "1: an operator stopped the tier.", ["tier"])
WORKERS = Gauge("mezzotint_queue_workers", "Streams of workers that are open.")
CREDITS = Gauge("mezzotint_queue_credits", "Credits not used yet.")
PEAK_MODE = Gauge("mezzotint_queue_peak_mode", "1 for the mode that the queue is in.", ["mode"])
PAID_WAIT_SECONDS = Gauge("mezzotint_queue_paid_wait_seconds", "The 95th percentile of the paid tiers' wait.")


@cache
def child(metric: Metric, *labels: str) -> Metric:
    """The part of a metric with these labels: to look it up costs more than to count, so each is looked up once."""
    return metric.labels(*labels)


def observe(waited: Callable[[Job], float], changes: Iterable[Transition]) -> None:
    """Count changes; many new jobs of a tier at once. `waited` tells for how many seconds a job waited that starts now."""
    accepted: dict[str, int] = {}
    for change in changes:
        if change.before is None:
            accepted[change.job.tier] = accepted.get(change.job.tier, 0) + 1
        else:
            _count(change.before, change.job, change.event, waited)
    for tier, jobs in accepted.items():
        child(ACCEPTED, tier).inc(jobs)


def _count(before: Job, job: Job, event: JobEvent, waited: Callable[[Job], float]) -> None:
    """Count one change of a job."""
    failure = event.failure
    if before.state is JobState.RUNNING and failure and failure.reason == "LEASE_STALE":
        child(LEASES_LOST, job.tier).inc()
    if job.state.final:
        child(ENDED, job.tier, job.state.name.lower()).inc()
        child(ATTEMPTS, job.tier).observe(job.attempt)
    elif job.state is JobState.QUEUED and failure:
        child(RETRIED, job.tier, FailureClass(failure.failure_class).name.lower()).inc()
    elif job.state is JobState.RUNNING:
        child(STARTED, job.tier).inc()
        if job.attempt == 1:
            child(WAIT_SECONDS, job.tier).observe(max(0.0, waited(before)))


def refused(reason: str) -> None:
    """The end of a lease was refused."""
    child(STALE, reason).inc()


def committed(seconds: float, operations: int, log_bytes: int) -> None:
    """A commit took so long, held so many operations, and left so much in the log. On the writing thread."""
    COMMIT_SECONDS.observe(seconds)
    COMMIT_OPERATIONS.observe(operations)
    LOG_BYTES.set(log_bytes)


def show(stats: Stats) -> None:
    """Set the gauges. On the event loop: metrics are asked for on a thread that may not read the queue's parts."""
    WORKERS.set(stats.workers)
    CREDITS.set(stats.credits)
    PAID_WAIT_SECONDS.set(stats.paid_wait_p95)
    for mode in PeakMode:
        child(PEAK_MODE, mode.name.lower()).set(stats.peak_mode is mode)
    for tier in stats.tiers:
        count = tier.count
        child(WAITING, count.tier).set(count.queued)
        child(DEFERRED, count.tier).set(count.deferred)
        child(RUNNING, count.tier).set(count.running)
        child(OLDEST_SECONDS, count.tier).set(count.oldest_wait)
        child(PAUSED, count.tier).set(tier.paused)


class Display:
    """Shows the figures that `read` gives, every SHOW_SECONDS."""

    def __init__(self, read: Callable[[], Stats], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._due = 0.0

    def tick(self) -> None:
        """Show them if it is time."""
        if (now := self._clock.monotonic()) >= self._due:
            self._due = now + SHOW_SECONDS
            show(self._read())
