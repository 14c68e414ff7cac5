"""Page tokens: where the next page begins, good only for the query they came from."""

import base64
import binascii
import hashlib
import struct

from mezzotint.queue.engine import JobQuery
from mezzotint.runtime.errors import PageTokenInvalid

NUMBER = ">Q"
NUMBER_MAX = 2**62
FINGERPRINT_BYTES = 8
# The query of all workers.
WORKERS = hashlib.blake2b(b"workers", digest_size=FINGERPRINT_BYTES).digest()


def page_token(query: JobQuery, before: int) -> str:
    """The token of the page with numbers below `before`."""
    return _token(fingerprint(query), struct.pack(NUMBER, before))


def page_start(query: JobQuery, token: str) -> int:
    """The number that the page begins below; 0 for an empty token. Raises PageTokenInvalid."""
    if not token:
        return 0
    place = _place(fingerprint(query), token)
    before = int(struct.unpack(NUMBER, place)[0]) if len(place) == struct.calcsize(NUMBER) else 0
    if not 0 < before < NUMBER_MAX:
        raise _foreign()
    return before


def worker_token(last: str) -> str:
    """The token of the page of workers after the one with this id."""
    return _token(WORKERS, last.encode())


def worker_start(token: str) -> str:
    """The id that the page of workers begins after; "" for an empty token. Raises PageTokenInvalid."""
    if not token:
        return ""
    try:
        return _place(WORKERS, token).decode()
    except UnicodeDecodeError as error:
        raise _foreign() from error


def fingerprint(query: JobQuery) -> bytes:
    """8 bytes that tell queries apart."""
    asked = (query.account_id, sorted(map(int, query.states)), query.tier, query.kind, query.labels, query.reason, query.dead)
    return hashlib.blake2b(repr(asked).encode(), digest_size=FINGERPRINT_BYTES).digest()


def _token(owner: bytes, place: bytes) -> str:
    return base64.urlsafe_b64encode(owner + place).decode()


def _place(owner: bytes, token: str) -> bytes:
    """What a token of this query says. Raises PageTokenInvalid."""
    try:
        found = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PageTokenInvalid("page_token is malformed; send the one from the previous page or none") from error
    if found[:FINGERPRINT_BYTES] != owner:
        raise _foreign()
    return found[FINGERPRINT_BYTES:]


def _foreign() -> PageTokenInvalid:
    return PageTokenInvalid("page_token belongs to another query; repeat the query it came from")
