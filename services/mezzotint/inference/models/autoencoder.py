"""Between latents and pixels: the decoder, the encoder where there is one, and a cheap sketch for previews."""

from pathlib import Path

import numpy as np

from mezzotint.inference.graphs.files import invalid, read_json
from mezzotint.inference.graphs.graph import FLOAT, Graph, Tensor, expect_numbers
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.engine import Floats
from mezzotint.inference.models.families import Family
from mezzotint.runtime.errors import Internal

DECODER, ENCODER, CONFIG = "vae_decoder/model.onnx", "vae_encoder/model.onnx", "vae_decoder/config.json"
# Straight colour and opacity.
RGBA = 4
# The sketch is fitted on latents that stay the same over squares of so many cells, as those of pictures do.
PATCH = 4


class Autoencoder:
    """See Engine.decode, encode and sketch. Latents are scaled and moved as vae_decoder/config.json says."""

    def __init__(self, folder: Path, family: Family, card: ModelCard, threads: int) -> None:
        """Open it. Raises ModelInvalid."""
        self._card, self._channels = card, family.channels
        config = read_json(folder, CONFIG) if (folder / CONFIG).exists() else {}
        self._scaling = number(config.get("scaling_factor", 1.0), "scaling_factor", least=1e-6)
        self._shift = number(config.get("shift_factor") or 0.0, "shift_factor", least=-1e6)
        for name in ("latents_mean", "latents_std"):
            if config.get(name) is not None:
                raise invalid(CONFIG, f"{name} is set; this option cannot be served")
        open_size = card.size_range is not None
        sides = (None, None) if open_size else card.latent[1:]
        pixels = (None, family.channels, *((None, None) if open_size else (card.image_size, card.image_size)))
        latents = {"latent_sample": Tensor(FLOAT, (None, card.channels, *sides))}
        self._decoder = Graph(folder, DECODER, latents, {"sample": Tensor(FLOAT, pixels)}, threads)
        self._encoder: Graph | None = None
        if card.encodes and family.channels != RGBA:
            inputs = {"sample": Tensor(FLOAT, (None, family.channels, None, None))}
            outputs = {"latent_parameters": Tensor(FLOAT, (None, 2 * card.channels, None, None))}
            self._encoder = Graph(folder, ENCODER, inputs, outputs, threads)
        # A picture's colour as a sum of its latents' channels and 1: (C + 1, 3).
        self._to_colour = np.zeros((card.channels + 1, 3), np.float32)

    def decode(self, latents: Floats) -> Floats:
        """See Engine."""
        pixels = self._decoder(latent_sample=latents / self._scaling + self._shift)[0]
        return pixels if self._channels == RGBA else opaque(pixels)

    def encode(self, pixels: Floats) -> Floats:
        """See Engine."""
        if self._encoder is None:
            return shrunk(pixels, self._card.scale)
        opacity = (pixels[:, 3:] + 1) / 2
        parameters = self._encoder(sample=pixels[:, :3] * opacity + (1 - opacity))[0]
        return (parameters[:, : self._card.channels] - self._shift) * self._scaling

    def sketch(self, latents: Floats) -> Floats:
        """See Engine."""
        if self._channels == RGBA:
            return latents
        colour = np.einsum("nchw,cd->ndhw", latents, self._to_colour[:-1]) + self._to_colour[-1][None, :, None, None]
        return opaque(np.clip(colour, -1, 1))

    def warm_up(self, latent: tuple[int, int, int]) -> None:
        """Decode once, and encode where it can, and hold the results to be numbers of the right shape. Raises ModelInvalid."""
        channels, height, width = latent
        coarse = np.random.default_rng(1).standard_normal((1, channels, -(-height // PATCH), -(-width // PATCH)), np.float32)
        latents = coarse.repeat(PATCH, axis=2).repeat(PATCH, axis=3)[:, :, :height, :width]
        scale = self._card.scale
        try:
            pixels = self.decode(latents)
        except Internal as error:
            raise invalid(DECODER, str(error)) from error
        expect_numbers(DECODER, pixels, (1, RGBA, height * scale, width * scale))
        self._fit(latents[0], pixels[0, :3])
        if self._encoder is not None:
            try:
                encoded = self.encode(np.clip(pixels, -1, 1))
            except Internal as error:
                raise invalid(ENCODER, str(error)) from error
            expect_numbers(ENCODER, encoded, (1, *latent))

    def _fit(self, latents: Floats, colours: Floats) -> None:
        """Find the sum of channels that comes nearest to the mean colour of each cell's pixels."""
        channels, height, width = latents.shape
        scale = self._card.scale
        means = colours.reshape(3, height, scale, width, scale).mean(axis=(2, 4))
        cells = np.concatenate([latents.reshape(channels, -1).T, np.ones((height * width, 1), np.float32)], axis=1)
        self._to_colour = np.linalg.lstsq(cells, means.reshape(3, -1).T, rcond=None)[0].astype(np.float32)


def number(value: object, name: str, least: float) -> float:
    """A number of the configuration. Raises ModelInvalid."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= 1e6:
        return float(value)
    raise invalid(CONFIG, f"{name} is {value!r}; it must be a number of at least {least}")


def opaque(colours: Floats) -> Floats:
    """Colours (B, 3, h, w) with full opacity: (B, 4, h, w)."""
    return np.concatenate([colours, np.ones_like(colours[:, :1])], axis=1)


def shrunk(pixels: Floats, scale: int) -> Floats:
    """Straight pixels (B, 4, h, w) as cells: the mean of opacity times colour, and of opacity, both in [-1, 1]."""
    rows, channels, height, width = pixels.shape
    opacity = (pixels[:, 3:] + 1) / 2
    cells = np.concatenate([pixels[:, :3] * opacity, pixels[:, 3:]], axis=1)
    means: Floats = cells.reshape(rows, channels, height // scale, scale, width // scale, scale).mean(axis=(3, 5))
    return means
