"""The command `mezzotint` and what it holds."""

import click

from mezzotint_client.cli.account import account
from mezzotint_client.cli.certificates import certificates
from mezzotint_client.cli.demo import demo
from mezzotint_client.cli.export import export
from mezzotint_client.cli.failures import ReportingGroup
from mezzotint_client.cli.generate import generate
from mezzotint_client.cli.grpcurl import grpcurl_flags
from mezzotint_client.cli.jobs import jobs
from mezzotint_client.cli.keys import keys
from mezzotint_client.cli.queue import queue
from mezzotint_client.cli.up import up


@click.group(cls=ReportingGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mezzotint")
def main() -> None:
    """Generate images, and run the services that do.

    Start with `mezzotint demo "a red heart"`, or serve with `mezzotint up` and use `mezzotint generate` beside it.
    """


for command in (up, demo, generate, account, keys, jobs, queue, export, certificates, grpcurl_flags):
    main.add_command(command)
