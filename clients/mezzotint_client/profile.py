"""Who the command line speaks as when nothing else is said: a file in the data folder that only its owner reads."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from platformdirs import user_data_path

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


def default_data() -> Path:
    """The data folder of this machine: MEZZOTINT_DATA, else the user's."""
    return Path(os.environ.get("MEZZOTINT_DATA") or user_data_path("mezzotint"))


def authority_pem(path: Path | None = None) -> bytes:
    """The certificate by which to know a server: the file at `path`, at MEZZOTINT_AUTHORITY, or tls/ca.pem of the data folder.

    Raises FileNotFoundError, saying where to get it.
    """
    file = path or Path(os.environ.get("MEZZOTINT_AUTHORITY") or default_data() / "tls" / "ca.pem")
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file} is not there: the certificate by which to know the server. Start Mezzotint on this machine with "
            "`mezzotint up`, or take the file tls/ca.pem of the installation and name it in MEZZOTINT_AUTHORITY"
        ) from error


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
