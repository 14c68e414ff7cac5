"""The server's own secret, which is not in the database: without it a copy of the database verifies nothing."""

import hashlib
import hmac


class Pepper:
    """A secret key for hashing what we handed out, and for marking what must come back unchanged."""

    def __init__(self, key: bytes) -> None:
        assert len(key) >= 32, "a pepper has at least 256 bits"
        self._key = key

    def digest(self, purpose: str, text: str) -> bytes:
        """The keyed hash, 32 bytes, of a text for one purpose."""
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256)

    def matches(self, purpose: str, text: str, digest: bytes) -> bool:
        """Whether `digest` is the text's, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.digest(purpose, text), digest)
