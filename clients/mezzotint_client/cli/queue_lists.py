"""Jobs and workers of the queue as lists."""

from collections.abc import Iterable, Sequence

import click

from mezzotint.api.queue.v1 import admin_pb2, job_pb2, queue_pb2
from mezzotint_client.cli.queue_words import moment, payload, span, state
from mezzotint_client.cli.tables import printable, show_table


def show_jobs(jobs: Sequence[job_pb2.Job]) -> None:
    """Print jobs, one a line."""
    headings = ("job", "account", "tier", "kind", "state", "attempt", "accepted", "took", "reason")
    rows = (
        (
            job.job_id,
            job.account_id,
            job.tier,
            job.kind,
            state(job.state),
            str(job.attempt),
            moment(job.created_at),
            took(job),
            job.failure.reason,
        )
        for job in jobs
    )
    show_table(headings, rows)


def show_dead(dead: Iterable[admin_pb2.DeadJob]) -> None:
    """Print failed jobs, one a line."""
    headings = ("job", "account", "tier", "attempts", "failed", "reason", "message", "payload")
    rows = (
        (
            each.job.job_id,
            each.job.account_id,
            each.job.tier,
            str(each.job.attempt),
            moment(each.job.finished_at),
            each.job.failure.reason,
            each.job.failure.message,
            payload(each.payload_preview, each.payload_bytes),
        )
        for each in dead
    )
    show_table(headings, rows)


def show_workers(workers: Iterable[admin_pb2.Worker]) -> None:
    """Print workers, one a line."""
    rows = (
        (
            each.worker_id,
            ", ".join(each.kinds),
            str(each.slots or "not told"),
            str(each.leases),
            str(each.credits),
            "draining" if each.draining else "",
        )
        for each in workers
    )
    show_table(("worker", "kinds", "slots", "holds", "credits", ""), rows)


def show_job(response: queue_pb2.GetJobResponse) -> None:
    """Print a job, one line a field."""
    for name, value in fields(response):
        click.echo(f"{name:<11} {printable(value)}")


def fields(response: queue_pb2.GetJobResponse) -> Iterable[tuple[str, str]]:
    """What there is to say of a job."""
    job = response.job
    yield "job", job.job_id
    yield "account", job.account_id
    yield "tier", job.tier
    yield "kind", job.kind
    yield "state", state(job.state)
    yield "attempt", str(job.attempt)
    yield "cost", f"{job.cost_ms:,} ms expected"
    for name, value in sorted(job.labels.items()):
        yield "label", f"{name}={value}"
    yield "accepted", moment(job.created_at)
    if job.HasField("not_before"):
        yield "not before", moment(job.not_before)
    if job.HasField("started_at"):
        yield "started", moment(job.started_at)
    if job.HasField("finished_at"):
        yield "finished", f"{moment(job.finished_at)}, after {took(job)}"
    if job.HasField("failure"):
        yield "reason", f"{job.failure.reason}: {job.failure.message}"
    if job.redriven_by:
        yield "redriven by", job.redriven_by
    if job.state == job_pb2.JOB_STATE_SUCCEEDED:
        yield "result", payload(response.result, len(response.result))


def took(job: job_pb2.Job) -> str:
    """From accepted to final."""
    if not job.HasField("finished_at"):
        return ""
    return span((job.finished_at.ToNanoseconds() - job.created_at.ToNanoseconds()) / 1e9)
