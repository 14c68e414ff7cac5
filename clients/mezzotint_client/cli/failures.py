"""What people see when something fails: the reason, the message, what to do; and an exit code that tells."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from mezzotint.runtime import errors
from mezzotint_client.plan import SuiteError

FAILED = 1
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
Result = TypeVar("Result")

# What to do, where the message cannot know it.
ADVICE: dict[type[errors.MezzotintError], str] = {
    errors.CredentialMissing: "set MEZZOTINT_API_KEY, or make an account with `mezzotint account create`",
    errors.CredentialInvalid: "check MEZZOTINT_API_KEY or the password; `mezzotint keys create NAME` makes another key",
    errors.CredentialExpired: "make another key with `mezzotint keys create NAME`",
    errors.CredentialRevoked: "make another key with `mezzotint keys create NAME`",
    errors.ScopeMissing: "use a key that has this scope; `mezzotint keys create NAME --scope SCOPE` makes one",
    errors.DependencyUnavailable: "is Mezzotint running there? `mezzotint up` starts it on this machine",
    errors.JobNotFound: "`mezzotint jobs list` shows yours; operators see everybody's with `mezzotint queue jobs`",
    errors.WorkerNotFound: "`mezzotint queue workers` shows those that are connected",
    errors.ApiKeyNotFound: "`mezzotint keys list` shows yours",
}


class ReportingGroup(click.Group):
    """A group whose commands' expected failures are reported on standard error, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # click's signature
        """The commands in the order in which one needs them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit 1 when it fails, 130 after Ctrl-C, 143 after SIGTERM."""
        try:
            return super().invoke(ctx)
        except errors.MezzotintError as error:
            report(error.reason, error.message, advice(error))
        except (SuiteError, OSError) as error:
            report("", str(error), "")
        except KeyboardInterrupt:
            click.secho("stopped", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except asyncio.CancelledError:
            raise click.exceptions.Exit(TERMINATED) from None
        raise click.exceptions.Exit(FAILED)


def advice(error: errors.MezzotintError) -> str:
    """What a person can do about an error; empty when its message says all."""
    if error.retry_after is not None:
        return f"try again in {max(1, round(error.retry_after))} s"
    if "handshake" in error.message.lower():
        return "what answers there has no certificate of this authority; check --address and --authority"
    return ADVICE.get(type(error), "")


def report(reason: str, message: str, what_to_do: str) -> None:
    """Print a failure."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.secho(f"{reason}: {message}" if reason else message, err=True)
    if what_to_do:
        click.secho(f"  {what_to_do}", err=True)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work to its end. SIGTERM cancels it, so that what it opened is closed."""

    async def cancelled_by_sigterm() -> Result:
        task = asyncio.ensure_future(work)
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    return asyncio.run(cancelled_by_sigterm())
