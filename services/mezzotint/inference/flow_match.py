"""Flow-matching Euler, vectorised over slots: every row of a call may be at another step of another number of steps.

The schedule is that of `FlowMatchEulerDiscreteScheduler` in diffusers (Esser et al. 2024, arXiv 2403.03206).
A latent at noise level sigma is (1 - sigma) data + sigma noise; the denoiser predicts the velocity, noise - data.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
TIMESTEPS = 1000.0


def schedule(steps: int, shift: float) -> Floats:
    """The noise levels before each step and after the last: (steps + 1,), from 1 to 0. A `shift` above 1 dwells in noise."""

    def shifted(sigmas: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return shift * sigmas / (1 + (shift - 1) * sigmas)

    # As in diffusers, the least noise level is shifted once as the range's end and once more with all others.
    least = shifted(np.array([1 / TIMESTEPS]))[0]
    return np.append(shifted(np.linspace(1.0, least, steps)), 0.0).astype(np.float32)


class FlowMatch:
    """The latents and noise levels of all slots of one shape: latents (slots, C, H, W), sigmas (slots, steps_max + 1)."""

    def __init__(self, slots: int, latent: tuple[int, int, int], steps_max: int, shift: float) -> None:
        self._shift = shift
        self._latents = np.zeros((slots, *latent), np.float32)
        self._sigmas = np.zeros((slots, steps_max + 1), np.float32)
        self._index = np.zeros(slots, np.int64)

    def join(self, slot: int, noise: Floats, steps: int) -> None:
        """Begin in a slot from `noise` (C, H, W)."""
        self._latents[slot] = noise
        self._sigmas[slot, : steps + 1] = schedule(steps, self._shift)
        self._index[slot] = 0

    def inputs(self, slots: Sequence[int]) -> tuple[Floats, Floats]:
        """What the denoiser is asked: samples (n, C, H, W) and timesteps (n,) in [0, 1000]."""
        rows = np.asarray(slots)
        timesteps: Floats = self._sigmas[rows, self._index[rows]] * np.float32(TIMESTEPS)
        return self._latents[rows], timesteps

    def advance(self, slots: Sequence[int], velocity: Floats) -> None:
        """Make one step in each slot along `velocity` (n, C, H, W)."""
        rows = np.asarray(slots)
        index = self._index[rows]
        change = self._sigmas[rows, index + 1] - self._sigmas[rows, index]
        self._latents[rows] += change[:, None, None, None] * velocity
        self._index[rows] = index + 1

    def latents(self, slot: int) -> Floats:
        """A copy of the latents in a slot, (C, H, W)."""
        latents: Floats = self._latents[slot].copy()
        return latents

    def take_out(self, slot: int) -> tuple[Floats, int]:
        """A copy of all that a slot holds of its picture, for `put_back`."""
        return self.latents(slot), int(self._index[slot])

    def put_back(self, slot: int, steps: int, state: tuple[Floats, int]) -> None:
        """Go on in a slot from what `take_out` gave of a picture of `steps` steps."""
        latents, index = state
        self.join(slot, latents, steps)
        self._index[slot] = index

    def estimate(self, slot: int, velocity: Floats) -> Floats:
        """What the picture in a slot will be if its last `velocity` (C, H, W) holds to the end: (C, H, W)."""
        estimate: Floats = self._latents[slot] - self._sigmas[slot, self._index[slot]] * velocity
        return estimate
