"""An event loop whose time passes only when everybody waits for it: hours take as long as what happens in them."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

EPOCH = 1_767_268_800.0


class VirtualSelector(selectors.SelectSelector):
    """Waits for nothing; the loop's time is moved on by as long as it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` seconds pass."""
        assert timeout is not None, "everybody waits for somebody else: the simulation is stuck"
        self.passed += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio without real time and without I/O."""

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.passed


class VirtualClock:
    """Both clocks on a virtual loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return EPOCH + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """What `main` gives, in virtual time; what it left running is ended."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
