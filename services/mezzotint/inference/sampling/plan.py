"""A way from noise to a picture as a table of numbers, so that pictures drawn by different methods can step together.

Every method here moves a sample by a weighted sum of five pictures: the sample itself, the model's output, the data that the
two of them point to, the data of the step before, and fresh noise. A method is the weights it gives them at each step.
"""

from dataclasses import dataclass, fields
from functools import cached_property

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
    - `sample`, `output`, `data`, `before`, `noise`: the weights of the sum that the sample becomes.

    `start` is what the noise it begins from is multiplied with.
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
    start: float = 1.0

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.timesteps)

    @cached_property
    def table(self) -> Floats:
        """All of it but `start`: (steps, columns), by COLUMN."""
        columns = [np.broadcast_to(getattr(self, name), (self.steps,)) for name in COLUMN]
        table: Floats = np.stack(columns, axis=1).astype(np.float32)
        assert np.isfinite(np.delete(table, COLUMN["clip"], axis=1)).all(), "a plan has a weight that is not a number"
        return table


# Where a plan's table has which of its fields.
COLUMN = {field.name: index for index, field in enumerate(fields(Plan)) if field.name != "start"}
