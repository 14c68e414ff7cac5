"""Gives every call an end: the caller's deadline, passed on to what the call calls."""

import asyncio

from mezzotint.runtime import calls
from mezzotint.runtime.errors import DeadlineExceeded
from mezzotint.runtime.interceptors.pipeline import Call, Layer


class DeadlineLayer(Layer):
    """Makes the caller's deadline the deadline of every call made on its behalf."""

    def enter(self, call: Call) -> None:
        """Refuse a call that is too late already; else remember when it must be answered."""
        left = call.context.time_remaining()
        if left is not None and left <= 0:
            raise DeadlineExceeded("the deadline had passed when the call arrived; call again with a longer one")
        calls.deadline.set(None if left is None else asyncio.get_running_loop().time() + left)
