"""What is done for a picture before its first step and after its last, beside the denoising loop. All of it blocks."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference import pixels
from mezzotint.inference.embeddings import EmbeddingCache
from mezzotint.inference.engine import Engine, Floats
from mezzotint.inference.lane import Picture
from mezzotint.inference.noise import noise
from mezzotint.inference.request import preview_steps, sampler_of
from mezzotint.runtime.errors import Internal

Result = TypeVar("Result")


def prepare(spec: GenerationSpec, engine: Engine, embeddings: EmbeddingCache) -> list[Picture]:
    """The pictures of a resolved request at their beginning. Raises Internal when the engine fails."""
    prompt, negative = embeddings.embed(engine, [spec.prompt, spec.negative_prompt])
    due, sampler = preview_steps(spec.steps, spec.previews), sampler_of(spec.scheduler)
    latent = engine.card.latent_of(spec.width, spec.height)
    return [
        Picture(noise(spec.seed + index, latent), spec.seed + index, sampler, spec.steps, spec.guidance, prompt, negative, due)
        for index in range(spec.images)
    ]


def develop(spec: GenerationSpec, engine: Engine, latents: Floats) -> bytes:
    """Final latents (C, H, W) as a picture encoded as a resolved request wants it. Raises Internal when the engine fails."""
    decoded = engine.decode(latents[None])[0]
    if not np.isfinite(decoded).all():
        raise Internal("the decoder's pixels are not numbers")
    return pixels.encode(decoded, spec.format, opaque=spec.opaque)


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and the milliseconds it took, without any wait for a thread."""
    began = time.perf_counter()
    return work(), (time.perf_counter() - began) * 1e3
