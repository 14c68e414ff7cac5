"""Whose turn it is among shapes: each gets the same time of the device while it has work, however long its calls take.

Start-time fair queueing (Goyal, Vin & Cheng 1996): a shape that comes, or comes back, begins where the others are, so that none
saves up time while it is away and none is made to wait for time it had alone.
"""

from collections.abc import Collection


class Turns:
    """`choose` a shape, let it have its call, `charge` the seconds."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._floor, self._turn = 0.0, 0

    def choose(self, shapes: Collection[str]) -> str:
        """The shape that had the least of the device; of equal ones the one whose turn is longest ago. There must be one."""
        self._spent = {shape: max(self._spent.get(shape, 0.0), self._floor) for shape in shapes}
        self._last = {shape: self._last.get(shape, 0) for shape in shapes}
        chosen = min(shapes, key=lambda shape: (self._spent[shape], self._last[shape]))
        self._floor, self._turn = self._spent[chosen], self._turn + 1
        self._last[chosen] = self._turn
        return chosen

    def charge(self, shape: str, seconds: float) -> None:
        """A shape had the device for so long."""
        self._spent[shape] += seconds
