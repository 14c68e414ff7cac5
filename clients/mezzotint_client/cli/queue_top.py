"""`mezzotint queue top`: the queue's figures, once or for as long as one looks."""

import asyncio
from contextlib import aclosing

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mezzotint.api.queue.v1 import queue_pb2
from mezzotint.runtime.errors import DependencyUnavailable, ServerDraining
from mezzotint_client.cli.queue_connection import QueueAt
from mezzotint_client.cli.queue_words import mode, span
from mezzotint_client.cli.tables import printable, show_table

HEADINGS = ("tier", "queued", "deferred", "running", "oldest", "starts/s", "share", "aged", "")
MODE_STYLES = {"normal": "green", "pressured": "yellow", "deferring": "bold red"}
RETRY_SECONDS = 1.0


async def show_once(at: QueueAt) -> None:
    """Print the figures of now, for people and scripts."""
    async with at.connect() as operator, aclosing(operator.watch_stats(1.0)) as figures:
        stats = await anext(figures)
    click.echo(summary(stats))
    show_table(HEADINGS, map(row, stats.tiers))


async def watch(at: QueueAt, interval: float) -> None:
    """Show the figures until it is cancelled. A queue that stops or restarts is waited for, and that is said."""
    console = Console()
    with Live(Text(f"asking {at.address}"), console=console, screen=True, auto_refresh=False) as live:
        shown: RenderableType = Text("")
        async with at.connect() as operator:
            while True:
                try:
                    async with aclosing(operator.watch_stats(interval)) as figures:
                        async for stats in figures:
                            shown = screen(stats, at.address)
                            live.update(shown, refresh=True)
                except (DependencyUnavailable, ServerDraining) as error:
                    live.update(Group(trouble(error.message, at.address), shown), refresh=True)
                    await asyncio.sleep(min(RETRY_SECONDS, interval))


def screen(stats: queue_pb2.WatchStatsResponse, address: str) -> RenderableType:
    """The figures as a screen."""
    word = mode(stats.peak_mode)
    whole = Text(summary(stats))
    whole.stylize(MODE_STYLES.get(word, ""), 0, len(word))
    title = Text.assemble(("mezzotint queue", "bold"), f" {address}")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index in (0, len(HEADINGS) - 1) else "right", no_wrap=True)
    for tier in stats.tiers:
        style = "yellow" if tier.paused else "" if tier.queued or tier.deferred or tier.running else "dim"
        table.add_row(*map(Text, row(tier)), style=style)
    return Group(title, whole, Text(""), table, Text(""), Text("Ctrl-C ends", style="dim"))


def trouble(message: str, address: str) -> Text:
    """The queue does not answer."""
    return Text(f"{address} does not answer ({printable(message)}); trying again. The figures below are old.", style="bold red")


def summary(stats: queue_pb2.WatchStatsResponse) -> str:
    """The whole queue in a line."""
    workers = "1 worker" if stats.workers == 1 else f"{stats.workers:,} workers"
    p95, objective = (each.ToNanoseconds() / 1e9 for each in (stats.paid_wait_p95, stats.paid_wait_objective))
    aim = f" of at most {span(objective)}" if objective else ""
    return f"{mode(stats.peak_mode)} · {workers} · {stats.credits:,} free credits · paid wait p95 {span(p95)}{aim}"


def row(tier: queue_pb2.TierStats) -> tuple[str, ...]:
    """A tier's figures in words, in the order of HEADINGS."""
    return (
        printable(tier.tier),
        f"{tier.queued:,}",
        f"{tier.deferred:,}",
        f"{tier.running:,}",
        span(tier.oldest_wait.ToNanoseconds() / 1e9) if tier.queued else "",
        f"{tier.starts_per_second:.2f}",
        f"{tier.share:.0%}",
        f"{tier.aged:,}",
        "paused" if tier.paused else "",
    )
