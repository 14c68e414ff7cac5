"""The options that say which queue an operator's command talks to."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mezzotint_client.cli.connection import data_option
from mezzotint_client.queue_operator import DEFAULT_QUEUE_ADDRESS, QueueOperator


@dataclass(frozen=True)
class QueueAt:
    """A queue, and the data folder that holds the operator's certificate."""

    data: Path
    address: str

    def connect(self) -> AbstractAsyncContextManager[QueueOperator]:
        """An operator of it."""
        return QueueOperator.connect(self.data, self.address)


def operated(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which queue, and the queue as its first argument."""

    @data_option
    @click.option("--queue-address", default=DEFAULT_QUEUE_ADDRESS, show_default=True, help="Where the queue listens.")
    @wraps(command)
    def with_queue(data: Path, queue_address: str, **options: Any) -> Any:
        return command(QueueAt(data, queue_address), **options)

    return with_queue
