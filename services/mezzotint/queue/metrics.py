"""The queue's Prometheus metrics, counted from its changes."""

from functools import partial

from prometheus_client import Counter, Gauge, Histogram

from mezzotint.queue.census import Census
from mezzotint.queue.job import JobState, Transition

WAIT_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)

ACCEPTED = Counter("mezzotint_queue_jobs_accepted", "Jobs accepted.", ["tier"])
ENDED = Counter("mezzotint_queue_jobs_ended", "Jobs that became final, by how.", ["tier", "state"])
RETRIED = Counter(
    "mezzotint_queue_attempts_failed", "Attempts that failed and are tried again, by the failure's class.", ["tier", "failure"]
)
WAIT_SECONDS = Histogram(
    "mezzotint_queue_wait_seconds", "Seconds from acceptance to the first start.", ["tier"], buckets=WAIT_BUCKETS
)
WAITING = Gauge("mezzotint_queue_jobs_waiting", "Jobs that wait for a worker.", ["tier"])
RUNNING = Gauge("mezzotint_queue_jobs_running", "Jobs that workers hold.", ["tier"])


def observe(change: Transition) -> None:
    """Count one change."""
    job = change.job
    if change.before is None:
        ACCEPTED.labels(job.tier).inc()
    elif job.state.final:
        ENDED.labels(job.tier, job.state.name.lower()).inc()
    elif job.state is JobState.QUEUED and change.event.failure:
        RETRIED.labels(job.tier, change.event.failure.failure_class.name.lower()).inc()
    elif job.state is JobState.RUNNING and job.attempt == 1:
        WAIT_SECONDS.labels(job.tier).observe(max(0.0, change.event.at - job.created_at))


def show(census: Census) -> None:
    """Let the gauges be read from the census whenever somebody asks for metrics."""
    for index, count in enumerate(census.tiers()):
        WAITING.labels(count.tier).set_function(partial(_waiting, census, index))
        RUNNING.labels(count.tier).set_function(partial(_running, census, index))


def _waiting(census: Census, index: int) -> float:
    return census.tiers()[index].queued


def _running(census: Census, index: int) -> float:
    return census.tiers()[index].running
