"""The command line: `mezzotint`, one small module a command or group of commands."""

from mezzotint_client.cli.commands import main

__all__ = ["main"]
