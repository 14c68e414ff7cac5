"""How much more could begin now: what the worker's credits go by."""

from collections.abc import Callable


class Capacity:
    """Counts the rows that unfinished pictures take, and the pictures between their last step and their pixels.

    One call has `rows_max` rows, or fewer where `cap`, which is asked every time, says so. There are slots for the rows of
    `calls` calls: with more than one, who shares a call is chosen among more pictures than it has room for.
    """

    def __init__(self, rows_max: int, cap: Callable[[], int] | None = None, calls: int = 1) -> None:
        self._most = rows_max
        self._cap = cap or (lambda: rows_max)
        self._calls = calls
        self._rows = 0
        self._decoding = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever something was given back."""
        self._watchers.append(changed)

    def take(self, rows: int) -> None:
        """Pictures that take `rows` rows of a call begin, or wait to begin."""
        self._rows += rows

    def give_back(self, rows: int) -> None:
        """Pictures that took `rows` rows made their last step or were dropped."""
        self._rows -= rows
        assert self._rows >= 0, "more rows were given back than taken"
        self._tell()

    def begin_decoding(self) -> None:
        """A picture's last step is made and its pixels are to come."""
        self._decoding += 1

    def end_decoding(self) -> None:
        """A picture's pixels came, or will not come."""
        self._decoding -= 1
        self._tell()

    @property
    def over(self) -> int:
        """Rows that unfinished pictures take beyond those there are slots for."""
        return max(0, self._rows - self._places)

    @property
    def behind(self) -> int:
        """Pictures between their last step and their pixels, beyond as many as one call has rows: decoding lags by these."""
        return max(0, self._decoding - min(self._most, self._cap()))

    @property
    def slots(self) -> int:
        """Pictures with guidance, which take two rows, that there is room for; 1 at least."""
        return max(1, self._places // 2)

    @property
    def free(self) -> int:
        """Pictures with guidance, which take two rows, that there is room for now; 0 as well while decoding lags behind."""
        return 0 if self.behind else max(0, self._places - self._rows) // 2

    @property
    def _places(self) -> int:
        return self._calls * min(self._most, self._cap())

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()
