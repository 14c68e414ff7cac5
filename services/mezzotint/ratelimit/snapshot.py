"""The file that carries calendar quotas and open reservations over a restart.

Two lines of JSON: a header with the format's version and the SHA-256 of the second line. A file is whole or not there: it is
written aside, fsynced and renamed. One that is damaged or newer than this program stops the start instead of being
passed over, because passing over it would hand out every quota again; whoever runs the service decides.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from mezzotint.ratelimit.calendar_quota import Spent
from mezzotint.ratelimit.ledger import Saved
from mezzotint.ratelimit.limit import Moment
from mezzotint.ratelimit.reservations import Line, Reservation, packed, unpacked
from mezzotint.runtime.errors import StartRefused

FORMAT = 1


def write(path: Path, saved: Saved) -> None:
    """Replace the file. Raises OSError; the file is then as it was."""
    body = encode(saved)
    header = json.dumps({"format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()}).encode()
    scratch = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(header + b"\n" + body + b"\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Saved | None:
    """What the file holds; None when there is none. Raises StartRefused when it cannot be used."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        header, body = content.removesuffix(b"\n").split(b"\n")
        head = json.loads(header)
        found, digest = head["format"], head["sha256"]
        if found == FORMAT and digest == hashlib.sha256(body).hexdigest():
            return decode(body)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error
    if found == FORMAT:
        raise damaged(path)
    raise StartRefused(f"{path}: format {found!r}, this version of Mezzotint reads {FORMAT}; {REMEDY}")


REMEDY = "start the version that wrote it, put a copy back, or move it away, which starts every calendar quota anew"


def damaged(path: Path) -> StartRefused:
    """The error for a file that is not as it was written."""
    return StartRefused(f"{path}: the file is damaged; {REMEDY}")


def encode(saved: Saved) -> bytes:
    """Saved state as one line of JSON."""
    reservations = [[*each[:4], each.ends.wall_ns] for each in map(unpacked, saved.reservations)]
    return json.dumps({"wall_ns": saved.wall_ns, "states": saved.states, "reservations": reservations}).encode()


def decode(body: bytes) -> Saved:
    """The state in a line of JSON. Raises ValueError, KeyError or TypeError."""
    content = json.loads(body)
    states = {name: {key: spent_of(spent) for key, spent in keys.items()} for name, keys in content["states"].items()}
    return Saved(int(content["wall_ns"]), states, [packed(reservation(*fields)) for fields in content["reservations"]])


def reservation(identifier: str, account_id: str, tier: str, lines: list[Any], ends_ns: int) -> Reservation:
    """A reservation from its parts; what belongs to the earlier process's clock is left out."""
    lasting = tuple(Line(name, int(amount), spent_of(charged)) for name, amount, charged in lines if isinstance(charged, list))
    return Reservation(identifier, account_id, tier, lasting, Moment(0, int(ends_ns)))


def spent_of(fields: list[Any]) -> Spent:
    """The state of a calendar quota."""
    until_ns, used = fields
    return int(until_ns), int(used)
