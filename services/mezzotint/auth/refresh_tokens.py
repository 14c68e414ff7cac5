"""How a refresh token is written: mzt_refresh_<26 characters of its session's id>_<27 random><22 signature>.

The signature tells an old token from a forged one without keeping all that ever were: an old one withdraws its session, while a
forgery must not, or whoever knows a session's id could end it.
"""

import hmac
import re

from mezzotint.auth import base62
from mezzotint.auth.pepper import Pepper
from mezzotint.runtime.errors import CredentialInvalid

SIGNATURE_LENGTH = 22
PATTERN = re.compile(r"mzt_refresh_([0-9a-z]{1,40})_([0-9A-Za-z]{27})([0-9A-Za-z]{22})")


def mint(session_id: str, pepper: Pepper) -> str:
    """A new refresh token of the session `session_id`."""
    body = f"mzt_refresh_{session_id.removeprefix('ses_')}_{base62.random_text()}"
    return body + signature(body, pepper)


def parse(token: str, pepper: Pepper) -> str:
    """The id of the session that a token was made for. Raises CredentialInvalid when this server did not make it."""
    match = PATTERN.fullmatch(token)
    if match is None or not hmac.compare_digest(signature(token[:-SIGNATURE_LENGTH], pepper), match[3]):
        raise CredentialInvalid("this is not a refresh token of this server; sign in again")
    return f"ses_{match[1]}"


def signature(body: str, pepper: Pepper) -> str:
    """The keyed hash of a text, cut to 22 base62 characters (131 bits)."""
    return base62.encode(int.from_bytes(pepper.digest("refresh-signature", body)), SIGNATURE_LENGTH)
