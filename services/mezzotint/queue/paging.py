"""Page tokens: where the next page begins, good only for the query they came from."""

import base64
import binascii
import hashlib
import struct

from mezzotint.queue.engine import JobQuery
from mezzotint.runtime.errors import PageTokenInvalid

FORMAT = ">8sQ"
NUMBER_MAX = 2**62


def page_token(query: JobQuery, before: int) -> str:
    """The token of the page with numbers below `before`."""
    return base64.urlsafe_b64encode(struct.pack(FORMAT, fingerprint(query), before)).decode()


def page_start(query: JobQuery, token: str) -> int:
    """The number that the page begins below; 0 for an empty token. Raises PageTokenInvalid."""
    if not token:
        return 0
    try:
        owner, before = struct.unpack(FORMAT, base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, struct.error, ValueError) as error:
        raise PageTokenInvalid("page_token is malformed; send the one from the previous page or none") from error
    if owner != fingerprint(query) or not 0 < before < NUMBER_MAX:
        raise PageTokenInvalid("page_token belongs to another query; repeat the query it came from")
    return int(before)


def fingerprint(query: JobQuery) -> bytes:
    """8 bytes that tell queries apart."""
    states = ",".join(str(int(state)) for state in sorted(query.states))
    return hashlib.blake2b(f"{query.account_id}\0{states}".encode(), digest_size=8).digest()
