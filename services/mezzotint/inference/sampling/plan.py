"""A way from noise to a picture as a table of numbers, so that pictures drawn by different methods can step together.

Every method here moves a sample by a weighted sum of five pictures: the sample itself, the model's output, the data that the
two of them point to, the data of the step before, and fresh noise. A method is the weights it gives them at each step.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Weights = Doubles | float


@dataclass(frozen=True)
class Plan:
    """The steps of one picture: its `timesteps` (steps,), and numbers for all its steps or arrays (steps,) with one for each.

    - `scale`: what the sample is multiplied with before the model sees it;
    - `data_sample`, `data_output`: data = data_sample × sample + data_output × output, then clipped to ±`clip`;
    - `sample`, `output`, `data`, `before`, `noise`: the weights of the sum that the sample becomes;
    - `signal`, `spread`: the weights of data and noise in the sample before each step. After the last it is data alone.

    `start` is what the noise it begins from is multiplied with; `left_out`, how many steps of a longer plan are not in it.
    """

    timesteps: Doubles
    data_sample: Weights
    data_output: Weights
    scale: Weights = 1.0
    clip: Weights = np.inf
    sample: Weights = 0.0
    output: Weights = 0.0
    data: Weights = 0.0
    before: Weights = 0.0
    noise: Weights = 0.0
    signal: Weights = 1.0
    spread: Weights = 0.0
    start: float = 1.0
    left_out: int = 0

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.timesteps)

    @cached_property
    def table(self) -> Floats:
        """What it has for each step: (steps, columns), by COLUMN."""
        columns = [np.broadcast_to(getattr(self, name), (self.steps,)) for name in COLUMN]
        table: Floats = np.stack(columns, axis=1).astype(np.float32)
        assert np.isfinite(np.delete(table, COLUMN["clip"], axis=1)).all(), "a plan has a weight that is not a number"
        return table

    def without(self, first: int) -> "Plan":
        """The plan without its `first` steps, which begins from data and noise at its noise level.

        The data of the step before, which then was not made, is taken to be that of the first one.
        """
        rest: dict[str, Any] = {name: np.broadcast_to(getattr(self, name), (self.steps,))[first:].copy() for name in COLUMN}
        rest["data"][0] += rest["before"][0]
        rest["before"][0] = 0.0
        return replace(self, **rest, left_out=first)


# Where a plan's table has which of its fields.
COLUMN = {field.name: index for index, field in enumerate(fields(Plan)) if field.name not in ("start", "left_out")}
