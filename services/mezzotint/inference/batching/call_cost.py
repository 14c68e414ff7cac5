"""What a row more costs a call, learned from the calls that were made."""

from dataclasses import dataclass

# The weight of a call falls to this part with each that follows: about the last hundred count.
MEMORY = 0.99
# Below this variance of the rows of calls there is no telling what a row costs.
VARIANCE_MIN = 0.01


@dataclass
class CallCost:
    """The straight line nearest to t(rows) of the calls so far, by sums over them.

    While all calls had the same size, rows are taken to cost nothing.
    """

    _calls: float = 0.0
    _rows: float = 0.0
    _seconds: float = 0.0
    _rows_squared: float = 0.0
    _rows_seconds: float = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A call of `rows` took `seconds`."""
        self._calls = MEMORY * self._calls + 1
        self._rows = MEMORY * self._rows + rows
        self._seconds = MEMORY * self._seconds + seconds
        self._rows_squared = MEMORY * self._rows_squared + rows * rows
        self._rows_seconds = MEMORY * self._rows_seconds + rows * seconds

    def longer(self, rows: int, more: int) -> float:
        """The part by which a call of `rows` takes longer with so many `more`: from 0, to more / rows."""
        variance = self._calls * self._rows_squared - self._rows * self._rows
        if variance <= VARIANCE_MIN * self._calls * self._calls:
            return 0.0
        slope = (self._calls * self._rows_seconds - self._rows * self._seconds) / variance
        slope = max(0.0, min(slope, self._seconds / self._rows))
        return slope * more / ((self._seconds - slope * self._rows) / self._calls + slope * rows) if slope else 0.0
