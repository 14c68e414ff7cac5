"""`mezzotint keys`: API keys, made and withdrawn."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import click

from mezzotint_client.accounts import Accounts
from mezzotint_client.cli.connection import Connection, connected, read_password
from mezzotint_client.cli.failures import run
from mezzotint_client.cli.tables import show_table
from mezzotint_client.records import ApiKey, NewApiKey

SCOPES = ("images:generate", "images:read", "account:read", "account:manage", "keys:manage")
Result = TypeVar("Result")
Act = Callable[[Accounts], Awaitable[Result]]


class Holder:
    """The account whose keys are managed: with a key that may, or signed in by its password for as long as it takes."""

    def __init__(self, connection: Connection, email: str | None, password_stdin: bool) -> None:
        self._connection = connection
        self._email = email or (connection.profile.email if connection.profile else "")
        self._password = ""
        if connection.api_key:
            return
        self._email = self._email or click.prompt("E-mail address", err=True)
        self._password = read_password(connection, self._email, password_stdin)

    def act(self, act: Act[Result]) -> Result:
        """Do something with the account's keys."""

        async def signed_in() -> Result:
            async with self._connection.session(self._email, self._password) as client:
                return await act(client.accounts)

        return run(signed_in())


def holding(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say whose keys, and the holder as its first argument."""

    @click.option("--email", help="The account.  [default: the profile's]")
    @click.option("--password-stdin", is_flag=True, help="Read the account's password from standard input.")
    @connected
    @wraps(command)
    def with_holder(connection: Connection, email: str | None, password_stdin: bool, **options: Any) -> Any:
        return command(Holder(connection, email, password_stdin), **options)

    return with_holder


@click.group(short_help="API keys: create, list, revoke, rotate.")
def keys() -> None:
    """API keys: create, list, revoke, rotate. Needs the account's password, or a key with the scope keys:manage."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do; repeat for more.")
@holding
def create(holder: Holder, name: str, scopes: tuple[str, ...]) -> None:
    """Make a key called NAME and print its secret, which is shown this once."""
    show_secret(holder.act(lambda accounts: accounts.create_api_key(name, scopes)))


@keys.command("list")
@holding
def list_keys(holder: Holder) -> None:
    """List the account's keys, newest first."""
    found = holder.act(lambda accounts: accounts.list_api_keys())
    rows = [(key.key_id, key.name, state(key), f"{key.created_at:%Y-%m-%d %H:%M}", " ".join(key.scopes)) for key in found]
    show_table(("key", "name", "state", "made", "scopes"), rows)


@keys.command()
@click.argument("key_id")
@holding
def revoke(holder: Holder, key_id: str) -> None:
    """Withdraw the key KEY_ID; it stops working within a second."""
    holder.act(lambda accounts: accounts.revoke_api_key(key_id))
    click.echo(f"revoked {key_id}", err=True)


@keys.command()
@click.argument("key_id")
@holding
def rotate(holder: Holder, key_id: str) -> None:
    """Replace the key KEY_ID by a new one with the same name and scopes, and print its secret."""
    show_secret(holder.act(lambda accounts: accounts.rotate_api_key(key_id)))


def show_secret(key: NewApiKey) -> None:
    """Print a new key: the secret alone on standard output, for scripts."""
    click.echo(f"{key.api_key.key_id} ({key.api_key.name}) may: {' '.join(key.api_key.scopes)}", err=True)
    click.echo(key.secret)


def state(key: ApiKey) -> str:
    """Whether a key still works, in words."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    return "works" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d %H:%M}"
