"""Who the command line speaks as when nothing else is said: a file in the data folder that only its owner reads."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mezzotint.runtime.certificates import write_private

PROFILE = "profile.json"
# The profile before, when another account's took its place: its key is nowhere else.
REPLACED = "profile.old.json"
# The key as an HTTP header, for `curl -H @FILE`, which keeps it out of the list of processes.
HEADER = "authorization.header"


@dataclass(frozen=True)
class Profile:
    """An account at a gateway. `password` is empty unless it was made up for the account of this machine."""

    address: str
    email: str
    api_key: str = field(repr=False)
    password: str = field(default="", repr=False)


def load(data: Path) -> Profile | None:
    """The profile of a data folder; None when there is none, or none that can be read as one."""
    try:
        return Profile(**json.loads((data / PROFILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def save(data: Path, profile: Profile) -> None:
    """Write the profile of a data folder. One of another account is set aside."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = load(data)
    if before is not None and (before.address, before.email) != (profile.address, profile.email):
        (data / PROFILE).replace(data / REPLACED)
    write_private(data / PROFILE, json.dumps(asdict(profile), indent=2).encode())
    write_private(data / HEADER, f"authorization: Bearer {profile.api_key}\n".encode())
