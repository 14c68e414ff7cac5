"""How many rows one call should have: up to the knee of t(batch), beyond which more rows only take more time."""

from collections.abc import Mapping

# More rows are worth it when they draw at least so much more in the same time than the best of fewer rows.
GAIN_MIN = 0.1
# A picture with guidance takes two rows, so no call has room for fewer.
ROWS_MIN = 2


def batches(rows_max: int) -> list[int]:
    """The sizes to measure: 1, 2, 4, 8, … and `rows_max` itself."""
    return sorted({2**power for power in range(rows_max.bit_length())} | {rows_max})


def knee_of(step_ms: Mapping[int, float], gain_min: float = GAIN_MIN) -> int:
    """The largest measured batch that draws at least `gain_min` more rows in the same time than the best below it.

    `step_ms` holds the milliseconds of a call by its rows. At least ROWS_MIN.
    """
    knee, best = ROWS_MIN, 0.0
    for rows in sorted(step_ms):
        rate = rows / step_ms[rows]
        if rate >= best * (1 + gain_min):
            knee, best = max(knee, rows), rate
    return knee
