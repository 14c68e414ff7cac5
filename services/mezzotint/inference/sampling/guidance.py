"""Classifier-free guidance row by row (Ho & Salimans 2022): a picture with guidance takes two rows of a call, else one.

A call's rows are first the prompts of all pictures, then the negative prompts of those with guidance, in the same order.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# The guidance that changes nothing: such a picture needs no second row.
WITHOUT = 1.0


def rows_of(guidance: float) -> int:
    """Rows that a picture takes of each call."""
    return 1 if guidance == WITHOUT else 2


def guided(guidance: Floats) -> npt.NDArray[np.int64]:
    """Which of n pictures take a second row, by index."""
    return np.flatnonzero(guidance != WITHOUT)


def expand(values: Floats, guidance: Floats) -> Floats:
    """Values of n pictures, (n, …), as those of the call's rows, (rows, …)."""
    return np.concatenate([values, values[guided(guidance)]])


def combine(output: Floats, guidance: Floats) -> Floats:
    """The model's output for the call's rows (rows, C, H, W) as that for its n pictures, each with its own `guidance` (n,)."""
    count, second = len(guidance), guided(guidance)
    combined = output[:count].copy()
    away_from = output[count:]
    scale = guidance[second][:, None, None, None]
    combined[second] = away_from + scale * (combined[second] - away_from)
    return combined
