"""All pictures of one model between their first step and their last: one call of the denoiser moves them all on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.inference.models.engine import Embedding, Engine, Floats
from mezzotint.inference.sampling import guidance
from mezzotint.inference.sampling.original import Original
from mezzotint.inference.sampling.plan import Plan
from mezzotint.inference.sampling.sampler import Sampler, plan_of
from mezzotint.inference.sampling.trajectories import State, Trajectories

# Transformers for flow matching make one token of two by two latent cells; their schedules go by tokens.
CELLS_OF_A_TOKEN = 4


@dataclass(frozen=True)
class Picture:
    """One picture to be drawn: it begins at `noise` (C, H, W), and noise on its way is drawn from `seed`.

    Previews of it are due after the steps in `preview_steps`. With an `original`, the first `left_out` steps are not made;
    `steps` does not count them.
    """

    noise: Floats
    seed: int
    sampler: Sampler
    steps: int
    guidance: float
    prompt: Embedding
    negative: Embedding
    preview_steps: frozenset[int] = frozenset()
    original: Original | None = None
    left_out: int = 0

    @property
    def rows(self) -> int:
        """Rows it takes of each call."""
        return guidance.rows_of(self.guidance)


def shape_of(picture: Picture) -> str:
    """What pictures of one model must agree in to share a call: the shape of their latents, "4x32x32"."""
    return "x".join(map(str, picture.noise.shape))


@dataclass(frozen=True)
class Stepped:
    """What one call did: its `ms`, its rows and those it was filled up with; by slot previews and finished latents (C, H, W).

    `broken` are the slots whose values are not numbers any more.
    """

    ms: float
    rows: int
    padded: int
    previews: dict[int, Floats]
    finished: dict[int, Floats]
    broken: frozenset[int]


@dataclass(frozen=True)
class Aside:
    """A picture between two of its steps, out of its slot: the steps done, and its whole state to the last bit."""

    picture: Picture
    done: int
    state: State


class Lane:
    """The pictures in the slots of one model. `step` runs in the loop's thread, and nothing else runs at the same time."""

    def __init__(self, engine: Engine, slots: int) -> None:
        self._engine = engine
        self._slots = slots
        self._made: Trajectories | None = None
        self._pictures: dict[int, Picture] = {}
        self._done: dict[int, int] = {}

    def join(self, slot: int, picture: Picture) -> None:
        """Put a picture into a free slot, before its first step. All pictures of a lane have one size."""
        self._pictures[slot], self._done[slot] = picture, 0
        self._room(picture).join(slot, picture.noise, self._plan(picture), picture.seed, picture.original)

    def put_aside(self, slot: int) -> Aside:
        """Take a picture out of its slot between two steps; the slot is free."""
        return Aside(self._pictures.pop(slot), self._done.pop(slot), self._state.take_out(slot))

    def take_up(self, slot: int, aside: Aside) -> None:
        """Go on in a free slot, this or another, of this or another lane of the same model, as if never put aside."""
        self._pictures[slot], self._done[slot] = aside.picture, aside.done
        self._room(aside.picture).put_back(slot, self._plan(aside.picture), aside.picture.seed, aside.state)

    def step(self, slots: Sequence[int]) -> Stepped:
        """Move the pictures in `slots` on by one step. Raises Internal when the engine refuses the call; nothing moved then."""
        began = time.perf_counter()
        pictures = [self._pictures[slot] for slot in slots]
        scales = np.array([picture.guidance for picture in pictures], np.float32)
        prompts = [picture.prompt for picture in pictures] + [pictures[i].negative for i in guidance.guided(scales)]
        samples, timesteps = self._state.inputs(slots)
        rows = self._engine.denoise(
            guidance.expand(samples, scales),
            guidance.expand(timesteps, scales),
            np.stack([prompt.hidden for prompt in prompts]),
            np.stack([prompt.pooled for prompt in prompts]),
        )
        output = guidance.combine(rows, scales)
        previews = self._state.advance(slots, output, [slot for slot in slots if self._due(slot)])
        finished = {}
        for slot in slots:
            self._done[slot] += 1
            if self._done[slot] == self._pictures[slot].steps:
                finished[slot] = self._state.latents(slot)
        broken, padded = self._broken(slots, output), self._engine.padding(len(rows), rows.shape[1:])
        return Stepped((time.perf_counter() - began) * 1e3, len(rows), padded, previews, finished, broken)

    def _room(self, picture: Picture) -> Trajectories:
        """The state of all slots, made for pictures of the size of the first one."""
        if self._made is None:
            channels, height, width = picture.noise.shape
            self._made = Trajectories(self._slots, (channels, height, width), self._engine.card.steps_max)
        return self._made

    @property
    def _state(self) -> Trajectories:
        assert self._made is not None, "a lane steps once a picture has joined it"
        return self._made

    def _plan(self, picture: Picture) -> Plan:
        """The steps of a picture."""
        card = self._engine.card
        _, height, width = picture.noise.shape
        tokens = height * width // CELLS_OF_A_TOKEN
        return plan_of(card.scheduler, picture.sampler, picture.left_out + picture.steps, tokens, picture.left_out)

    def _due(self, slot: int) -> bool:
        """Whether the step that a slot makes now is one that a preview is due after; the last one never is."""
        picture, step = self._pictures[slot], self._done[slot] + 1
        return step in picture.preview_steps and step != picture.steps

    @staticmethod
    def _broken(slots: Sequence[int], output: Floats) -> frozenset[int]:
        """The slots whose output is not a number: a row's fault stays its own."""
        return frozenset(slot for slot, row in zip(slots, output, strict=True) if not np.isfinite(row).all())
