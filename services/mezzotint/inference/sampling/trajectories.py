"""The pictures in all slots on their way from noise, each by its own plan and at its own step."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mezzotint.inference.sampling.noise import noise
from mezzotint.inference.sampling.original import Original
from mezzotint.inference.sampling.plan import COLUMN, Floats, Plan

# The n-th normal numbers of a shape that belong to a seed: (seed, shape, n).
Draw = Callable[[int, tuple[int, ...], int], Floats]
# Rows move together while they have no more bytes than this: many small ones at once, large ones one after another. What comes
# from memory and not from the cache takes five times as long.
BYTES_TOGETHER = 2**17


@dataclass(frozen=True)
class State:
    """All that a slot holds of a picture: `latents` and the data of the step before (C, H, W), the steps done, what is kept."""

    latents: Floats
    before: Floats
    done: int
    kept: "Kept | None" = None


@dataclass(frozen=True)
class Kept:
    """What a picture keeps of its original: the original with its mask, and the noise (C, H, W) that it began from."""

    original: Original
    noise: Floats

    def at(self, signal: float, spread: float) -> Floats:
        """The original at a noise level."""
        noisy: Floats = np.float32(signal) * self.original.latents + np.float32(spread) * self.noise
        return noisy


class Trajectories:
    """Latents (slots, C, H, W) and plans (slots, steps, columns). Rows move at once, yet no bit of one depends on another."""

    def __init__(self, slots: int, latent: tuple[int, int, int], steps_max: int, draw: Draw = noise) -> None:
        self._draw = draw
        self._latents = np.zeros((slots, *latent), np.float32)
        self._before = np.zeros((slots, *latent), np.float32)
        # One row more than steps, for the noise level after the last one.
        self._plans = np.zeros((slots, steps_max + 1, len(COLUMN)), np.float32)
        self._kept: dict[int, Kept] = {}
        self._done = np.zeros(slots, np.int64)
        self._seeds = [0] * slots
        self._together = max(1, BYTES_TOGETHER // self._latents[0].nbytes)

    def join(self, slot: int, begin: Floats, plan: Plan, seed: int, original: Original | None = None) -> None:
        """Begin in a slot from noise `begin` (C, H, W), or `original` with that noise; noise on the way is drawn from `seed`.

        What the original's mask keeps is put back after every step at that step's noise level.
        """
        self._kept.pop(slot, None)
        self._latents[slot] = begin * np.float32(plan.start)
        if original:
            kept = Kept(original, begin)
            if plan.left_out:
                self._latents[slot] = kept.at(plan.table[0, COLUMN["signal"]], plan.table[0, COLUMN["spread"]])
            if original.redrawn is not None:
                self._kept[slot] = kept
        self._before[slot] = 0.0
        self._plans[slot, : plan.steps] = plan.table
        self._plans[slot, plan.steps] = 0.0
        self._plans[slot, plan.steps, COLUMN["signal"]] = 1.0
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
        self._put_back_what_is_kept(slots)
        shown = zip(through_data.tolist(), data, strict=True)
        return {slots[row]: self._with_kept(slots[row], each) for row, each in shown if shows[row]}

    def _put_back_what_is_kept(self, slots: Sequence[int]) -> None:
        """Give the parts that originals keep the noise level that their pictures have now.

        Blended latent diffusion (Avrahami et al. 2022, arXiv 2206.02779), as RePaint does without going back and forth (Lugmayr
        et al. 2022, arXiv 2201.09865), with the noise that the picture began from, as the inpainting pipelines of diffusers do.
        """
        for slot in slots:
            if kept := self._kept.get(slot):
                level = self._plans[slot, self._done[slot]]
                self._latents[slot] = kept.original.over(
                    self._latents[slot], kept.at(level[COLUMN["signal"]], level[COLUMN["spread"]])
                )

    def _with_kept(self, slot: int, data: Floats) -> Floats:
        """Data (C, H, W) with what the slot's original keeps."""
        kept = self._kept.get(slot)
        return kept.original.over(data, kept.original.latents) if kept else data

    def latents(self, slot: int) -> Floats:
        """A copy of the latents in a slot, (C, H, W)."""
        latents: Floats = self._latents[slot].copy()
        return latents

    def take_out(self, slot: int) -> State:
        """A copy of what a slot holds of its picture, for `put_back`."""
        return State(self.latents(slot), self._before[slot].copy(), int(self._done[slot]), self._kept.pop(slot, None))

    def put_back(self, slot: int, plan: Plan, seed: int, state: State) -> None:
        """Go on in a slot from what `take_out` gave of a picture with this plan and seed."""
        self.join(slot, state.latents, plan, seed)
        self._latents[slot], self._before[slot], self._done[slot] = state.latents, state.before, state.done
        if state.kept:
            self._kept[slot] = state.kept

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
