"""Auth's folder in the data folder, claimed by one process: the pepper, the signing keys, and the database beside them."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joserfc.jwk import ECKey

from mezzotint.auth.pepper import Pepper
from mezzotint.runtime.certificates import write_private

PEPPER_BYTES = 32


class Folder:
    """The folder `auth` of a data folder: auth.sqlite3, pepper.key, signing.key.

    Keys that no longer sign, but did so within the last 15 minutes, may lie beside them as signing-*.key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.database = path / "auth.sqlite3"

    def pepper(self) -> Pepper:
        """The pepper, made on first start. Raises OSError when it is gone but the database, useless without it, is not."""
        file = self._path / "pepper.key"
        if not file.exists():
            if self.database.exists():
                raise FileNotFoundError(
                    f"{file} is missing, and without it no API key or session in {self.database} can be verified; restore it"
                    " from a backup, or move the database away to begin anew"
                )
            write_private(file, secrets.token_bytes(PEPPER_BYTES))
        key = file.read_bytes()
        if len(key) < PEPPER_BYTES:
            raise OSError(f"{file} holds {len(key)} bytes and must hold {PEPPER_BYTES}; restore it from a backup")
        return Pepper(key)

    def signing_keys(self) -> list[ECKey]:
        """The private signing keys, the one in use first, made on first start. Raises OSError when a file is not such a key."""
        file = self._path / "signing.key"
        if not file.exists():
            write_private(file, ECKey.generate_key("P-256").as_pem(private=True))
        return [read_key(each) for each in (file, *sorted(self._path.glob("signing-*.key")))]


@contextmanager
def claim(data: Path) -> Iterator[Folder]:
    """Auth's folder for as long as the block runs. Raises OSError when another process has it."""
    path = data / "auth"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"another process uses {path}; one auth process serves a data folder") from error
        yield Folder(path)
    finally:
        os.close(lock)


def read_key(file: Path) -> ECKey:
    """A P-256 private key from its file."""
    try:
        key = ECKey.import_key(file.read_bytes())
    except ValueError as error:
        raise OSError(f"{file} is not a private key in PEM: {error}") from error
    if key.curve_name != "P-256" or not key.is_private:
        raise OSError(f"{file} must hold a private key on the curve P-256")
    return key
