"""A model on ONNX Runtime, from a folder in the diffusers layout; one that cannot be served is refused before it is used."""

import time
from collections.abc import Sequence
from pathlib import Path

from mezzotint.inference.models.autoencoder import Autoencoder
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.denoiser import Denoiser
from mezzotint.inference.models.diffusers_card import read_card
from mezzotint.inference.models.engine import Embedding, Floats
from mezzotint.inference.models.families import FAMILIES
from mezzotint.inference.models.texts import Texts


class OnnxEngine:
    """See Engine. `step_ms` holds the milliseconds of a call by its rows, measured at the warm-up."""

    def __init__(self, folder: Path, *, threads: int, rows_max: int) -> None:
        """Open, check and warm up a folder. Raises ModelInvalid naming the file and what is wrong."""
        self._card = card = read_card(folder)
        family = FAMILIES[card.pipeline]
        self._texts = Texts(folder, family, card, threads)
        self._denoiser = Denoiser(folder, family, card, self._texts, threads)
        self._autoencoder = Autoencoder(folder, family, card, threads)
        self.step_ms = self._warm_up(rows_max)

    @property
    def card(self) -> ModelCard:
        """What the model is and what it can draw."""
        return self._card

    @property
    def device(self) -> str:
        """What the denoiser runs on."""
        return self._denoiser.device

    def rows_possible(self, latent: tuple[int, ...]) -> int | None:
        """The rows of one call that the device takes for latents (C, H, W), where it refused more; None where it refused none.

        `denoise` takes more all the same, and makes several calls.
        """
        return self._denoiser.pieces.rows_max(latent)

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """See Engine."""
        return self._texts.embed(texts)

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        """See Engine."""
        return self._denoiser(samples, timesteps, hidden, pooled)

    def padding(self, rows: int, latent: tuple[int, ...]) -> int:
        """See Engine."""
        return self._denoiser.padding(rows, latent)

    def decode(self, latents: Floats) -> Floats:
        """See Engine."""
        return self._autoencoder.decode(latents)

    def encode(self, pixels: Floats) -> Floats:
        """See Engine."""
        return self._autoencoder.encode(pixels)

    def sketch(self, latents: Floats) -> Floats:
        """See Engine."""
        return self._autoencoder.sketch(latents)

    def _warm_up(self, rows_max: int) -> dict[int, float]:
        """Run every graph once as it will run, and hold its results to be numbers of the right shape. Returns `step_ms`."""
        card, step_ms = self._card, {}
        embedding = self._texts.warm_up()
        for rows in sorted({1, 2, rows_max}):
            # The second of two, as the first makes room in memory.
            self._denoiser.warm_up(embedding, card.latent, rows)
            began = time.perf_counter()
            self._denoiser.warm_up(embedding, card.latent, rows)
            step_ms[rows] = (time.perf_counter() - began) * 1e3
        self._autoencoder.warm_up(card.latent)
        if card.size_range:
            # Another size, not square: that sides are open is only known once they were.
            other = card.latent_of(card.image_size, card.size_range.side_min)
            self._denoiser.warm_up(embedding, other, 1)
            self._autoencoder.warm_up(other)
        return step_ms
