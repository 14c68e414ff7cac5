"""Text of digits and letters only, which a double click selects as a whole."""

import secrets
import string

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
# 27 characters hold 160 bits.
RANDOM_LENGTH = 27


def random_text() -> str:
    """27 random characters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))


def encode(number: int, length: int) -> str:
    """The last `length` base62 digits of a number."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
