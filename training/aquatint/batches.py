"""Draw training batches: a picture, maybe in another colour, with a caption that says so."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.aquatint.captions import compose_caption
from training.aquatint.colour_naming import dominant_colours
from training.aquatint.colours import paint, rotate_hue
from training.aquatint.latents import to_latent
from training.aquatint.palette import COLOUR_NAMES, PAINTS
from training.aquatint.pictures import Bytes
from training.aquatint.records import FLAT, PictureRecord
from training.aquatint.text_encoder import encode_prompts
from training.aquatint.tokenizer import PAD_ID

# What people ask for most, and what 32x32 can show; the rest is seen seldom, so that these are learned soon.
COMMON = re.compile(r"^(heart|face|cat-face|monkey|animal|plant|food|drink|sky|transport|place-building|geometric|musical)")
ONE_WAY = re.compile(r"left|right|east|west|backhand|index|clock|writing|arrow|musical|abc|question")


@dataclass(frozen=True)
class AugmentationRates:
    """Shares of a batch, each in [0, 1]."""

    empty_caption: float = 0.10
    jittered_view: float = 0.30
    flipped: float = 0.05
    painted: float = 0.20
    hue_turned: float = 0.04
    colour_named: float = 0.30
    # Pictures outside of COMMON take part in this share of the rounds.
    uncommon_shown: float = 0.35
    # And those of the flat style, which is what is drawn only when asked for.
    flat_shown: float = 0.45


class BatchSource:
    """Endless random batches over the pictures; all randomness comes from ``seed``."""

    def __init__(
        self,
        records: Sequence[PictureRecord],
        views: Bytes,
        tokenizer: Tokenizer,
        *,
        seed: int,
        rates: AugmentationRates | None = None,
    ) -> None:
        """Keep ``views`` (N, V, 32, 32, 4), in the order of ``records``."""
        self.records = records
        self.views = views
        self.tokenizer = tokenizer
        self.rates = rates or AugmentationRates()
        self.chance = random.Random(seed)
        self.order: list[int] = []

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Return latents (size, 4, 32, 32) and input ids (size, T), T being the longest caption's, at most 24."""
        chosen = [self._next_index() for _ in range(size)]
        pictures = torch.from_numpy(np.stack([self._view(index) for index in chosen])).float() / 255
        pictures, recoloured = self._recolour(pictures)
        shown = dominant_colours(pictures.numpy())
        captions = [
            self._caption(self.records[index], seen, asked)
            for index, seen, asked in zip(chosen, shown, recoloured, strict=True)
        ]
        return to_latent(pictures), self._encode(captions)

    def _next_index(self) -> int:
        """Walk through the pictures in a fresh random order each time round."""
        if not self.order:
            self.order = [row for row, record in enumerate(self.records) if self._is_shown(record)]
            self.chance.shuffle(self.order)
        return self.order.pop()

    def _is_shown(self, record: PictureRecord) -> bool:
        """Decide whether a picture takes part in this round."""
        if record.style == FLAT and self.chance.random() >= self.rates.flat_shown:
            return False
        return bool(COMMON.match(record.subgroup)) or self.chance.random() < self.rates.uncommon_shown

    def _view(self, index: int) -> Bytes:
        jittered = self.chance.random() < self.rates.jittered_view
        which = self.chance.randrange(1, self.views.shape[1]) if jittered else 0
        view: Bytes = self.views[index, which]
        if self.chance.random() < self.rates.flipped and not ONE_WAY.search(self.records[index].label):
            view = view[:, ::-1]
        return view

    def _recolour(self, pictures: Tensor) -> tuple[Tensor, list[str | None]]:
        """Paint or hue-turn a share of the pictures; name the change ("" = turned, see the picture)."""
        asked: list[str | None] = [None] * len(pictures)
        turns = torch.zeros(len(pictures))
        colours, keep = torch.zeros(len(pictures), 3), torch.ones(len(pictures))
        for row in range(len(pictures)):
            lot = self.chance.random()
            if lot < self.rates.painted:
                asked[row] = self.chance.choice(COLOUR_NAMES)
                colours[row] = torch.tensor(PAINTS[str(asked[row])])
                keep[row] = self.chance.choice((0.0, 0.1, 0.25))
            elif lot < self.rates.painted + self.rates.hue_turned:
                asked[row], turns[row] = "", self.chance.uniform(40, 320)
        turned = rotate_hue(pictures, turns)
        return paint(turned, colours, keep), asked

    def _caption(self, record: PictureRecord, seen: str | None, asked: str | None) -> str:
        """Say the colour that was painted, else the one that is seen (always after a hue turn)."""
        if self.chance.random() < self.rates.empty_caption:
            return ""
        if asked is None:
            named = seen if self.chance.random() < self.rates.colour_named else None
            return compose_caption(record, named, self.chance)
        return compose_caption(record, asked or seen, self.chance, recoloured=True)

    def _encode(self, captions: list[str]) -> Tensor:
        """Return ids without the columns that are padding for all: captions are short, and padding costs as much as words."""
        ids = encode_prompts(self.tokenizer, captions)
        return ids[:, : int((ids != PAD_ID).sum(1).max())]
