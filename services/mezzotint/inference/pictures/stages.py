"""What is done for a picture before its first step and after its last, beside the denoising loop. All of it blocks."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.batching.lane import Picture
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Engine, Floats
from mezzotint.inference.pictures import pixels
from mezzotint.inference.pictures.image_input import ImageInput
from mezzotint.inference.pictures.request import preview_steps, sampler_of
from mezzotint.inference.sampling.noise import noise
from mezzotint.inference.sampling.original import Original
from mezzotint.inference.sampling.sampler import left_out
from mezzotint.runtime.errors import Internal

Result = TypeVar("Result")


def prepare(spec: GenerationSpec, engine: Engine, embeddings: EmbeddingCache, given: ImageInput | None = None) -> list[Picture]:
    """The pictures of a resolved request at their beginning. Raises Internal when the engine fails."""
    prompt, negative = embeddings.embed(engine, [spec.prompt, spec.negative_prompt])
    sampler, latent = sampler_of(spec.scheduler), engine.card.latent_of(spec.width, spec.height)
    original = original_of(engine, given) if given else None
    steps = steps_of(spec, engine.card)
    first = Picture(
        noise(spec.seed, latent),
        spec.seed,
        sampler,
        steps,
        spec.guidance,
        prompt,
        negative,
        preview_steps(steps, spec.previews),
        original,
        spec.steps - steps,
    )
    others = range(spec.seed + 1, spec.seed + spec.images)
    return [first, *(replace(first, noise=noise(seed, latent), seed=seed) for seed in others)]


def steps_of(spec: GenerationSpec, card: ModelCard) -> int:
    """The steps that are made of each picture of a resolved request."""
    return spec.steps - (left_out(card.scheduler, spec.steps, spec.strength) if spec.HasField("image") else 0)


def original_of(engine: Engine, given: ImageInput) -> Original:
    """A picture that came with a request, in latents. Raises Internal when the engine fails."""
    latents = engine.encode(given.pixels[None])[0]
    if not np.isfinite(latents).all():
        raise Internal("the encoder's latents are not numbers")
    return Original(latents, given.cells(engine.card.scale))


def develop(spec: GenerationSpec, engine: Engine, latents: Floats, given: ImageInput | None = None) -> bytes:
    """Final latents (C, H, W) as a picture encoded as a resolved request wants it, with what is kept of the `given` one.

    Raises Internal when the engine fails.
    """
    decoded = engine.decode(latents[None])[0]
    if not np.isfinite(decoded).all():
        raise Internal("the decoder's pixels are not numbers")
    return pixels.encode(decoded, spec.format, opaque=spec.opaque, given=given)


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and the milliseconds it took, without any wait for a thread."""
    began = time.perf_counter()
    return work(), (time.perf_counter() - began) * 1e3
