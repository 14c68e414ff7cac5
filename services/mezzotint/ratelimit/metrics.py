"""Prometheus metrics of decisions and of what the ledger holds."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from mezzotint.ratelimit.limit import Decision

DECISIONS = Counter("mezzotint_ratelimit_decisions", "Decisions of Check and Reserve, retries included.", ["allowed"])
DENIALS = Counter("mezzotint_ratelimit_denials", "Denials by each limit that was in the way.", ["limit"])
HELD = Gauge("mezzotint_ratelimit_held", "What the ledger holds: buckets, reservations, answers.", ["kind"])


def count(decision: Decision) -> None:
    """Count one decision."""
    DECISIONS.labels("yes" if decision.allowed else "no").inc()
    for status in decision.statuses:
        if status.retry_after_ns != 0:
            DENIALS.labels(status.limit.name).inc()


def show(sizes: Mapping[str, int]) -> None:
    """Show how much the ledger holds."""
    for kind, size in sizes.items():
        HELD.labels(kind).set(size)
