"""`mezzotint grpcurl-flags`: what makes grpcurl work against the services of this machine."""

import shlex
from pathlib import Path

import click

from mezzotint.runtime.tls import dns_name, open_identity
from mezzotint_client.cli.connection import data_option
from mezzotint_client.plan import SERVICES


@click.command("grpcurl-flags", short_help="What makes grpcurl work on this machine.")
@click.option("--service", type=click.Choice(SERVICES), help="Expect this service's certificate, by whatever address.")
@click.option("--authorization", is_flag=True, help="Send the variable MEZZOTINT_AUTHORIZATION as the credential.")
@data_option
def grpcurl_flags(data: Path, service: str | None, authorization: bool) -> None:
    """Print the flags of grpcurl that speak as the operator of this machine.

    \b
    grpcurl $(mezzotint grpcurl-flags) 127.0.0.1:7403 list

    The gateway asks end users for a credential. It comes from the environment, so that the list of processes does not show it:

    \b
    export MEZZOTINT_AUTHORIZATION="Bearer $MEZZOTINT_API_KEY"
    grpcurl $(mezzotint grpcurl-flags --authorization) -d '{"spec": {"prompt": "a red heart"}}' \\
      127.0.0.1:7400 mezzotint.api.images.v1.ImageService/GenerateImages

    Where the data folder's path holds a space: eval "grpcurl $(mezzotint grpcurl-flags) …".
    """  # noqa: D301  # \b is click's sign for lines to leave as they are
    open_identity(data, "operator", ())
    folder = data.resolve() / "tls"
    flags = ["-cacert", folder / "ca.pem", "-cert", folder / "operator.pem", "-key", folder / "operator.key"]
    if service:
        flags += ["-authority", dns_name(service)]
    quoted = shlex.join(map(str, flags))
    # Not quoted: grpcurl puts the variable in, and an unquoted $(…) would keep quotes as part of the header.
    click.echo(f"{quoted} -expand-headers -H authorization:${{MEZZOTINT_AUTHORIZATION}}" if authorization else quoted)
