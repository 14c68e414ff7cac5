"""Values kept by the million, packed into bytes.

The garbage collector looks through every object that is kept, and stops the process for it: 2 s at 300,000 open reservations
on a busy machine. It does not look into bytes, which take less room besides.
"""

import marshal
from collections.abc import Mapping
from typing import Any

from mezzotint.ratelimit.limit import Decision, Limit, Status


def pack(*values: Any) -> bytes:
    """Numbers, strings, None, and plain tuples and lists of them, as bytes that only this process reads."""
    return marshal.dumps(values)


def unpack(content: bytes) -> Any:
    """The tuple of the values that were packed."""
    return marshal.loads(content)  # noqa: S302  # packed by this process


def plain(decision: Decision) -> tuple[bool, int | None, list[tuple[Any, ...]]]:
    """A decision in values that can be packed."""
    return decision.allowed, decision.retry_after_ns, [(status.limit.name, *status[1:]) for status in decision.statuses]


def answered(content: tuple[bool, int | None, list[tuple[Any, ...]]], limits: Mapping[str, Limit]) -> Decision:
    """The decision that `plain` made plain."""
    allowed, retry_after_ns, statuses = content
    return Decision(allowed, tuple(Status(limits[name], *numbers) for name, *numbers in statuses), retry_after_ns)
