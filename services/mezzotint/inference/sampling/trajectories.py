"""The pictures in all slots on their way from noise, each by its own plan and at its own step."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mezzotint.inference.noise import noise
from mezzotint.inference.sampling.plan import COLUMN, Floats, Plan

# The n-th normal numbers of a shape that belong to a seed: (seed, shape, n).
Draw = Callable[[int, tuple[int, ...], int], Floats]
# Rows move together while they have no more bytes than this: many small ones at once, large ones one after another. What comes
# from memory and not from the cache takes five times as long.
BYTES_TOGETHER = 2**17


@dataclass(frozen=True)
class State:
    """All that a slot holds of a picture: `latents` and the data of the step before (C, H, W), and the steps done."""

    latents: Floats
    before: Floats
    done: int


class Trajectories:
    """Latents (slots, C, H, W) and plans (slots, steps, columns). Rows move at once, yet no bit of one depends on another."""

    def __init__(self, slots: int, latent: tuple[int, int, int], steps_max: int, draw: Draw = noise) -> None:
        self._draw = draw
        self._latents = np.zeros((slots, *latent), np.float32)
        self._before = np.zeros((slots, *latent), np.float32)
        self._plans = np.zeros((slots, steps_max, len(COLUMN)), np.float32)
        self._done = np.zeros(slots, np.int64)
        self._seeds = [0] * slots
        self._together = max(1, BYTES_TOGETHER // self._latents[0].nbytes)

    def join(self, slot: int, begin: Floats, plan: Plan, seed: int) -> None:
        """Begin in a slot from noise `begin` (C, H, W); noise on the way is drawn from `seed`."""
        self._latents[slot] = begin * np.float32(plan.start)
        self._before[slot] = 0.0
        self._plans[slot, : plan.steps] = plan.table
        self._done[slot], self._seeds[slot] = 0, seed

    def inputs(self, slots: Sequence[int]) -> tuple[Floats, Floats]:
        """What the denoiser is asked: samples (n, C, H, W) and timesteps (n,)."""
        rows, plans = self._of(slots)
        return _weighed(plans, "scale", self._latents[rows]), plans[:, COLUMN["timesteps"]]

    def advance(self, slots: Sequence[int], output: Floats, show: Collection[int] = ()) -> dict[int, Floats]:
        """Make one step in each slot with the model's `output` (n, C, H, W).

        Returns for the slots in `show` the data (C, H, W) their step pointed to: what the picture will be if that holds.
        """
        data: dict[int, Floats] = {}
        for first in range(0, len(slots), self._together):
            part = slice(first, first + self._together)
            data |= self._advance(slots[part], output[part], show)
        return data

    def _advance(self, slots: Sequence[int], output: Floats, show: Collection[int]) -> dict[int, Floats]:
        """See `advance`; for few enough rows to stay in the processor's cache."""
        rows, plans = self._of(slots)
        shows = np.array([slot in show for slot in slots], np.bool_)
        through_data = np.flatnonzero((plans[:, COLUMN["data"]] != 0) | shows)
        # An index that copies nothing when it is of all rows.
        with_data = slice(None) if len(through_data) == len(rows) else through_data
        # A row that overflows is its own fault, and found by whoever made the output.
        with np.errstate(over="ignore", invalid="ignore"):
            sample = self._latents[rows]
            moved = _weighed(plans, "sample", sample)
            moved += _weighed(plans, "output", output)
            data = _data(plans[with_data], sample[with_data], output[with_data])
            moved[with_data] += _weighed(plans[with_data], "data", data)
            moved[with_data] += _weighed(plans[with_data], "before", self._before[rows[with_data]])
            for row in np.flatnonzero(plans[:, COLUMN["noise"]]).tolist():
                moved[row] += plans[row, COLUMN["noise"]] * self._noise(slots[row])
        self._latents[rows], self._before[rows[through_data]] = moved, data
        self._done[rows] += 1
        return {slots[row]: data[index] for index, row in enumerate(through_data.tolist()) if shows[row]}

    def latents(self, slot: int) -> Floats:
        """A copy of the latents in a slot, (C, H, W)."""
        latents: Floats = self._latents[slot].copy()
        return latents

    def take_out(self, slot: int) -> State:
        """A copy of what a slot holds of its picture, for `put_back`."""
        return State(self.latents(slot), self._before[slot].copy(), int(self._done[slot]))

    def put_back(self, slot: int, plan: Plan, seed: int, state: State) -> None:
        """Go on in a slot from what `take_out` gave of a picture with this plan and seed."""
        self.join(slot, state.latents, plan, seed)
        self._latents[slot], self._before[slot], self._done[slot] = state.latents, state.before, state.done

    def _of(self, slots: Sequence[int]) -> tuple[npt.NDArray[np.int64], Floats]:
        """The slots as an index, and the columns of the step each makes next: (n, columns)."""
        rows = np.asarray(slots, np.int64)
        return rows, self._plans[rows, self._done[rows]]

    def _noise(self, slot: int) -> Floats:
        """Fresh noise (C, H, W) for the step a slot makes now; number 0 is the noise it began from."""
        return self._draw(self._seeds[slot], self._latents.shape[1:], int(self._done[slot]) + 1)


def _data(plans: Floats, sample: Floats, output: Floats) -> Floats:
    """The data that samples and outputs (n, C, H, W) point to, clipped where the plans say so."""
    data = _weighed(plans, "data_sample", sample)
    data += _weighed(plans, "data_output", output)
    bound = plans[:, COLUMN["clip"], None, None, None]
    clipped: Floats = np.clip(data, -bound, bound) if np.isfinite(bound).any() else data
    return clipped


def _weighed(plans: Floats, column: str, values: Floats) -> Floats:
    """Values (n, C, H, W), each row times its weight in a column."""
    weighed: Floats = plans[:, COLUMN[column], None, None, None] * values
    return weighed
