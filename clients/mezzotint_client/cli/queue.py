"""`mezzotint queue`: looking after the queue, for operators; it speaks to the queue itself."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from mezzotint_client.cli.failures import run
from mezzotint_client.cli.queue_connection import QueueAt, operated
from mezzotint_client.cli.queue_lists import show_dead, show_job, show_jobs, show_workers
from mezzotint_client.cli.queue_top import show_once, watch
from mezzotint_client.cli.queue_words import STATES, moment
from mezzotint_client.queue_operator import QueueOperator

count_option = click.option("--count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")


@click.group(short_help="Look after the queue. For operators.")
def queue() -> None:
    """Look after the queue: what waits, what failed, who works, what is paused.

    For operators: speaks to the queue itself, with the certificate in the data folder.
    """


@queue.command()
@click.option("--once", is_flag=True, help="Print one table and end; so it is also when the output is no terminal.")
@click.option("--interval", default=1.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds between two looks.")
@operated
def top(at: QueueAt, once: bool, interval: float) -> None:
    """Watch how full the queue is and how its tiers fare, until Ctrl-C."""
    run(watch(at, interval) if not once and sys.stdout.isatty() else show_once(at))


@queue.command()
@click.option("--account", "account_id", default="", help="Only of this account's id.")
@click.option("--tier", default="", help="Only of this tier.")
@click.option("--kind", default="", help='Only of this kind, for example "image.generate".')
@click.option("--state", "states", multiple=True, type=click.Choice(list(STATES)), help="Only in this state; repeat for more.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only with this label; repeat for more.")
@count_option
@operated
def jobs(at: QueueAt, count: int, states: tuple[str, ...], labels: tuple[str, ...], **filters: str) -> None:
    """List jobs of everybody, newest first."""
    wanted = dict(map(label_pair, labels))
    numbers = [STATES[state] for state in states]
    show_jobs(ask(at, lambda operator: operator.jobs(count, states=numbers, labels=wanted, **filters)))


@queue.command()
@click.argument("job_id")
@operated
def show(at: QueueAt, job_id: str) -> None:
    """Show one job as it stands."""
    show_job(ask(at, lambda operator: operator.job(job_id)))


@queue.command()
@click.option("--tier", default="", help="Only of this tier.")
@click.option("--reason", default="", help="Only failed for this reason, for example JOB_FAILED.")
@count_option
@operated
def dead(at: QueueAt, count: int, tier: str, reason: str) -> None:
    """List jobs that failed for good and were not redriven, newest first."""
    show_dead(ask(at, lambda operator: operator.dead(count, tier, reason)))


@queue.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB]...")
@click.option("--tier", default="", help="Only of this tier.")
@click.option("--reason", default="", help="Only failed for this reason, for example JOB_FAILED.")
@click.option(
    "--per-second", default=10.0, show_default=True, type=click.FloatRange(0.001, 1000), help="How many may start a second."
)
@operated
def redrive(at: QueueAt, job_ids: tuple[str, ...], **fields: Any) -> None:
    """Have failed jobs done again, each once, oldest first.

    Without JOB: all that `mezzotint queue dead` lists for --tier and --reason, up to 10,000.
    """
    answer = ask(at, lambda operator: operator.redrive(job_ids, **fields))
    if not answer.redriven:
        click.echo("nothing to redrive: no such job has failed, or it was redriven before")
        return
    many = "1 job is" if answer.redriven == 1 else f"{answer.redriven:,} jobs are"
    click.echo(f"{many} done again; the last may start at {moment(answer.last_not_before)}")


@queue.command()
@click.argument("tier")
@operated
def pause(at: QueueAt, tier: str) -> None:
    """Stop handing out the jobs of TIER. They are still accepted, and those that run go on."""
    ask(at, lambda operator: operator.pause(tier))
    click.echo(f"{tier} is paused; `mezzotint queue resume {tier}` lets it go on")


@queue.command()
@click.argument("tier")
@operated
def resume(at: QueueAt, tier: str) -> None:
    """Hand out the jobs of TIER again."""
    ask(at, lambda operator: operator.resume(tier))
    click.echo(f"{tier} goes on")


@queue.command()
@operated
def workers(at: QueueAt) -> None:
    """List the connected workers."""
    show_workers(ask(at, lambda operator: operator.workers()))


@queue.command()
@click.argument("worker_ids", nargs=-1, metavar="[WORKER]...")
@operated
def drain(at: QueueAt, worker_ids: tuple[str, ...]) -> None:
    """Tell workers to finish or hand back what they hold and to close their streams; all of them without WORKER.

    A worker that connects again gets work again.
    """
    told = ask(at, lambda operator: operator.drain(worker_ids))
    click.echo("no worker is connected" if not told else f"{told} worker{'s' if told > 1 else ''} told to drain")


@queue.command()
@operated
def reload(at: QueueAt) -> None:
    """Have the policy file read again. A bad one changes nothing, and the error names its line."""
    answer = ask(at, lambda operator: operator.reload_policy())
    tiers = ", ".join(answer.tiers)
    click.echo(f"the new policy is in force: {tiers}" if answer.changed else f"nothing has changed: {tiers}")


def ask(at: QueueAt, question: Callable[[QueueOperator], Awaitable[Any]]) -> Any:
    """The queue's answer to something the operator asks."""

    async def answer() -> Any:
        async with at.connect() as operator:
            return await question(operator)

    return run(answer())


def label_pair(text: str) -> tuple[str, str]:
    """A label as people write it."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--label")
    return name, value
