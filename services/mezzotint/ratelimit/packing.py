"""Values kept by the million, packed into bytes.

The garbage collector looks through every object that is kept, and stops the process for it: 2 s at 300,000 open reservations
on a busy machine. It does not look into bytes, which take less room besides.
"""

import marshal
from typing import Any


def pack(*values: Any) -> bytes:
    """Numbers, strings, None, and plain tuples and lists of them, as bytes that only this process reads."""
    return marshal.dumps(values)


def unpack(content: bytes) -> Any:
    """The tuple of the values that were packed."""
    return marshal.loads(content)  # noqa: S302  # packed by this process
