"""Reads the file that names the tiers."""

from pathlib import Path

import yaml

from mezzotint.queue.tiers import Tier, parse


class PolicyInvalid(OSError):
    """The policy file cannot be used; the message says where it is wrong."""


def load(path: Path) -> tuple[Tier, ...]:
    """The tiers of the policy file. Raises PolicyInvalid that names the file and the line or entry at fault."""
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise PolicyInvalid(f"the tiers in {path} cannot be used: {error}") from error
