"""How the secret of an API key is written: mzt_<26 characters of the key's id>_<27 random><6 checksum>.

The checksum (CRC32) lets typing errors and garbage be refused without a look-up, here and in scanners for leaked secrets.
"""

import hmac
import re
import zlib

from mezzotint.auth import base62
from mezzotint.runtime.errors import CredentialInvalid

PREFIX = "mzt_"
CHECKSUM_LENGTH = 6
PATTERN = re.compile(r"mzt_([0-9a-z]{1,40})_([0-9A-Za-z]{27})([0-9A-Za-z]{6})")


def mint(key_id: str) -> str:
    """A new secret for the key `key_id`."""
    body = f"{PREFIX}{key_id.removeprefix('key_')}_{base62.random_text()}"
    return body + checksum(body)


def parse(secret: str) -> str:
    """The id of the key that a secret claims to be of. Raises CredentialInvalid when its form or checksum is wrong."""
    match = PATTERN.fullmatch(secret)
    if match is None or not hmac.compare_digest(checksum(secret[:-CHECKSUM_LENGTH]), match[3]):
        raise CredentialInvalid("this is not an API key: its form or checksum is wrong; copy the whole key")
    return f"key_{match[1]}"


def checksum(body: str) -> str:
    """The CRC32 of a text in 6 base62 characters."""
    return base62.encode(zlib.crc32(body.encode()), CHECKSUM_LENGTH)
