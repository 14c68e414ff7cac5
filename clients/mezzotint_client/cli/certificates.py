"""`mezzotint certificates`: the private authority and certificates, made ahead; for containers that share no data folder."""

from pathlib import Path

import click

from mezzotint.runtime.certificates import write_private
from mezzotint.runtime.tls import Authority
from mezzotint_client.cli.connection import data_option
from mezzotint_client.suite import IDENTITIES


@click.command(short_help="Make certificates ahead, for containers.")
@click.argument("identities", nargs=-1, metavar="[IDENTITY]...")
@click.option(
    "--host", "hosts", multiple=True, help="A name or address, written into those that are made now; repeat for more."
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also give each identity its own files, and no others, in INTO/IDENTITY.",
)
@data_option
def certificates(data: Path, identities: tuple[str, ...], hosts: tuple[str, ...], into: Path | None) -> None:
    """Make the private authority and certificates of the services, where they are missing or run out within 30 days.

    Without IDENTITY: all of them, and the operator's. Each is good for a year, and always for localhost and 127.0.0.1.
    """
    unknown = [name for name in identities if name not in IDENTITIES]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(IDENTITIES)}", param_hint="IDENTITY")
    authority = Authority.open(data)
    for name in identities or IDENTITIES:
        authority.identity(name, ("localhost", "127.0.0.1", *hosts))
        click.echo(data / "tls" / f"{name}.pem")
        if into:
            hand_out(authority.folder, name, into / name)


def hand_out(issued: Path, name: str, folder: Path) -> None:
    """Copy what a service opens its identity from, which is all but the authority's key; the certificate last."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in ("ca.pem", f"{name}.key", f"{name}.pem"):
        write_private(folder / file, (issued / file).read_bytes())
