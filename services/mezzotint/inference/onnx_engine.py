"""A model on ONNX Runtime, from a folder in the diffusers layout; one that cannot be served is refused before it is used."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from mezzotint.inference.card import ModelCard, invalid, read_card, read_json, readable
from mezzotint.inference.engine import Embedding, Floats
from mezzotint.inference.graphs import Graph, Tensor
from mezzotint.runtime.errors import Internal

TOKENIZER = "tokenizer/tokenizer.json"
TEXT_ENCODER, UNET, DECODER = "text_encoder/model.onnx", "unet/model.onnx", "vae_decoder/model.onnx"
FLOAT, INT64 = "tensor(float)", "tensor(int64)"
# Straight colour and opacity.
PIXEL_CHANNELS = 4


class OnnxEngine:
    """See Engine. `step_ms` holds the milliseconds of a call by its rows, measured at the warm-up."""

    def __init__(self, folder: Path, *, threads: int, rows_max: int) -> None:
        """Open, check and warm up a folder. Raises ModelInvalid naming the file and what is wrong."""
        self._card = card = read_card(folder)
        for file in (TEXT_ENCODER, UNET, DECODER):
            readable(folder, file)
        self._tokenizer = read_tokenizer(folder, card.max_tokens)
        tokens, latent = card.max_tokens, card.latent
        self._text = Graph(
            folder,
            TEXT_ENCODER,
            {"input_ids": Tensor(INT64, (None, tokens))},
            {"last_hidden_state": Tensor(FLOAT, (None, tokens, None)), "pooler_output": Tensor(FLOAT, (None, None))},
            threads,
        )
        self._width = self._text.width("pooler_output")
        self._unet = Graph(
            folder,
            UNET,
            {
                "sample": Tensor(FLOAT, (None, *latent)),
                "timestep": Tensor(FLOAT, (None,)),
                "encoder_hidden_states": Tensor(FLOAT, (None, tokens, self._text.width("last_hidden_state"))),
                "text_embeds": Tensor(FLOAT, (None, self._width)),
            },
            {"out_sample": Tensor(FLOAT, (None, *latent))},
            threads,
        )
        pixels = (None, PIXEL_CHANNELS, card.image_size, card.image_size)
        self._decoder = Graph(
            folder, DECODER, {"latent_sample": Tensor(FLOAT, (None, *latent))}, {"sample": Tensor(FLOAT, pixels)}, threads
        )
        self.step_ms = self._warm_up(rows_max)

    @property
    def card(self) -> ModelCard:
        """What the model is and what it can draw."""
        return self._card

    @property
    def device(self) -> str:
        """What the denoiser runs on."""
        return self._unet.device

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """See Engine."""
        ids = np.array([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))], np.int64)
        hidden, pooled = self._text(input_ids=ids)
        return [Embedding(*pair) for pair in zip(hidden, pooled, strict=True)]

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        """See Engine."""
        return self._unet(sample=samples, timestep=timesteps, encoder_hidden_states=hidden, text_embeds=pooled)[0]

    def decode(self, latents: Floats) -> Floats:
        """See Engine."""
        return self._decoder(latent_sample=latents)[0]

    def _warm_up(self, rows_max: int) -> dict[int, float]:
        """Run every graph once as it will run, and hold its results to be numbers of the right shape. Returns `step_ms`."""
        card, step_ms = self._card, {}
        try:
            embedding = self.embed(["", "a warm-up"])[1]
        except Internal as error:
            raise invalid(TEXT_ENCODER, str(error)) from error
        expect_numbers(TEXT_ENCODER, embedding.hidden, (card.max_tokens, self._text.width("last_hidden_state")))
        expect_numbers(TEXT_ENCODER, embedding.pooled, (self._width,))
        for rows in sorted({1, 2, rows_max}):
            step_ms[rows] = self._time_step(embedding, rows)
        try:
            pixels = self.decode(np.zeros((1, *card.latent), np.float32))
        except Internal as error:
            raise invalid(DECODER, str(error)) from error
        expect_numbers(DECODER, pixels, (1, PIXEL_CHANNELS, card.image_size, card.image_size))
        return step_ms

    def _time_step(self, embedding: Embedding, rows: int) -> float:
        """The milliseconds of a call with `rows` rows: the second of two, as the first makes room in memory."""
        samples = np.random.default_rng(0).standard_normal((rows, *self._card.latent), np.float32)
        timesteps = np.linspace(1000.0, 1.0, rows, dtype=np.float32)
        hidden, pooled = np.stack([embedding.hidden] * rows), np.stack([embedding.pooled] * rows)
        began = 0.0
        for _ in range(2):
            began = time.perf_counter()
            try:
                velocity = self.denoise(samples, timesteps, hidden, pooled)
            except Internal as error:
                raise invalid(UNET, str(error)) from error
            expect_numbers(UNET, velocity, (rows, *self._card.latent))
        return (time.perf_counter() - began) * 1e3


def read_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer of a folder, which must make `max_tokens` ids of every text. Raises ModelInvalid."""
    read_json(folder, TOKENIZER)
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the tokenizers package raises plain Exception
        raise invalid(TOKENIZER, f"it is not a tokenizer: {error}") from error
    lengths = {len(encoding.ids) for encoding in tokenizer.encode_batch(["", "a heart", "a heart " * max_tokens])}
    if lengths != {max_tokens}:
        raise invalid(TOKENIZER, f"it makes {sorted(lengths)} ids of three texts; it must make {max_tokens} of every text")
    return tokenizer


def expect_numbers(file: str, values: npt.NDArray[np.float32], shape: tuple[int, ...]) -> None:
    """Raise ModelInvalid unless a graph's result has the right shape and nothing in it is NaN or infinite."""
    if values.shape != shape:
        raise invalid(file, f"its result has the shape {values.shape} on a warm-up run; it must be {shape}")
    if wrong := int(np.count_nonzero(~np.isfinite(values))):
        raise invalid(file, f"{wrong} of {values.size} results are not numbers on a warm-up run")
