"""The options that say which gateway a command talks to, and as whom."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mezzotint.runtime.errors import CredentialMissing
from mezzotint_client.client import DEFAULT_ADDRESS, Client
from mezzotint_client.profile import Profile, authority_pem, default_data, load

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_data,
    help="Where Mezzotint keeps everything.  [default: MEZZOTINT_DATA, else the user's data folder]",
)


@dataclass(frozen=True)
class Connection:
    """A gateway and a credential. `api_key` is empty unless one was given."""

    data: Path
    address: str
    authority: Path
    api_key: str
    profile: Profile | None

    def client(self, credential: str = "") -> Client:
        """A client with a credential, or without one for signing up and in."""
        return Client.connect(self.address, authority_pem=authority_pem(self.authority), credential=credential)

    def signed_client(self) -> Client:
        """A client with the key that was given, else the profile's. Raises CredentialMissing when there is neither."""
        key = self.api_key or (self.profile.api_key if self.profile else "")
        if not key:
            raise CredentialMissing(f"no API key was given and {self.data} holds no profile")
        return self.client(key)

    @asynccontextmanager
    async def session(self, email: str, password: str) -> AsyncIterator[Client]:
        """A client with every scope: of the key that was given, else of a session that ends with the block."""
        if self.api_key:
            async with self.client(self.api_key) as client:
                yield client
            return
        async with self.client() as client:
            tokens = await client.accounts.sign_in(email, password)
            signed_in = client.with_credential(tokens.access_token)
            try:
                yield signed_in
            finally:
                await signed_in.accounts.sign_out()


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a connection, and the connection as its first argument."""

    @data_option
    @click.option(
        "--address", envvar="MEZZOTINT_ADDRESS", help=f"The gateway.  [default: the profile's, else {DEFAULT_ADDRESS}]"
    )
    @click.option(
        "--authority",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="MEZZOTINT_AUTHORITY",
        help="The certificate of the server's authority.  [default: tls/ca.pem in the data folder]",
    )
    @click.option(
        "--api-key-file",
        type=click.File(),
        help="A file with the API key, - for standard input.  [default: MEZZOTINT_API_KEY, else the profile's key]",
    )
    @wraps(command)
    def with_connection(data: Path, address: str | None, authority: Path | None, api_key_file: Any, **options: Any) -> Any:
        profile = load(data)
        key = api_key_file.read() if api_key_file else os.environ.get("MEZZOTINT_API_KEY", "")
        default = profile.address if profile else DEFAULT_ADDRESS
        connection = Connection(data, address or default, authority or data / "tls" / "ca.pem", key.strip(), profile)
        return command(connection, **options)

    return with_connection


def read_password(connection: Connection, email: str, from_stdin: bool) -> str:
    """The password of an account: from standard input, the profile, or the person."""
    if from_stdin:
        return password_line()
    if connection.profile and connection.profile.email == email and connection.profile.password:
        return connection.profile.password
    return str(click.prompt(f"Password of {email}", hide_input=True, err=True))


def password_line() -> str:
    """The first line of standard input."""
    return sys.stdin.readline().rstrip("\n")
