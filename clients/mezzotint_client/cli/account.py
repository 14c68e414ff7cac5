"""`mezzotint account`: opening an account, looking at it, moving it to another tier."""

from pathlib import Path

import click

from mezzotint_client.cli.connection import Connection, connected, data_option, password_line
from mezzotint_client.cli.failures import run
from mezzotint_client.operating import DEFAULT_AUTH_ADDRESS, set_tier
from mezzotint_client.profile import Profile, save
from mezzotint_client.records import Account


@click.group()
def account() -> None:
    """Accounts: create one, show yours, move one to another tier."""


@account.command()
@click.option("--email", prompt="E-mail address", help="The account's e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@click.option("--key-name", default="command line", show_default=True, help="What to call its first API key.")
@connected
def create(connection: Connection, email: str, password_stdin: bool, key_name: str) -> None:
    """Open an account, make an API key for it, and keep the key as this machine's profile."""
    if password_stdin:
        password = password_line()
    else:
        password = click.prompt("Password, 8 to 256 characters", hide_input=True, confirmation_prompt=True, err=True)
    opened, key = run(open_account(connection, email, password, key_name))
    save(connection.data, Profile(connection.address, opened.email, key))
    show_account(opened)
    click.echo(f"API key  {key}")


async def open_account(connection: Connection, email: str, password: str, key_name: str) -> tuple[Account, str]:
    """A new account and the secret of its first API key."""
    async with connection.client() as client:
        opened = await client.accounts.sign_up(email, password)
        session = await client.accounts.sign_in(email, password)
        accounts = client.with_credential(session.access_token).accounts
        key = await accounts.create_api_key(key_name)
        await accounts.sign_out()
        return opened, key.secret


@account.command()
@connected
def show(connection: Connection) -> None:
    """Show the account whose API key this is."""

    async def get() -> Account:
        async with connection.signed_client() as client:
            return await client.accounts.get_account()

    show_account(run(get()))


@account.command("set-tier")
@click.argument("email")
@click.argument("tier")
@click.option("--auth-address", default=DEFAULT_AUTH_ADDRESS, show_default=True, help="Where auth listens.")
@data_option
def set_tier_of(data: Path, email: str, tier: str, auth_address: str) -> None:
    """Move the account of EMAIL to TIER. For operators: needs the certificate in the data folder."""
    show_account(run(set_tier(data, email, tier, address=auth_address)))


def show_account(found: Account) -> None:
    """Print an account, one line a field."""
    click.echo(f"account  {found.account_id}\nemail    {found.email}\ntier     {found.tier}")
    click.echo(f"opened   {found.created_at:%Y-%m-%d %H:%M:%S} UTC")
