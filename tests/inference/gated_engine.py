"""A real engine whose steps wait for a test's permission, and that fails when told to."""

import asyncio
from collections.abc import Sequence
from threading import Semaphore

import numpy as np

from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.engine import Embedding, Engine, Floats

GUARD_SECONDS = 10


class GatedEngine:
    """See Engine. `rows` and `timesteps` are those of the calls so far; `begun` has an item for each call that began."""

    def __init__(self, engine: Engine) -> None:
        self.calls: list[tuple[int, list[float]]] = []
        self.failure: Exception | None = None
        self.broken_rows: tuple[int, ...] = ()
        self._engine = engine
        self._permits = Semaphore(0)
        self._begun: asyncio.Queue[None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    @property
    def card(self) -> ModelCard:
        return self._engine.card

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        return self._engine.embed(texts)

    def denoise(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        self.calls.append((len(samples), timesteps.tolist()))
        self._loop.call_soon_threadsafe(self._begun.put_nowait, None)
        assert self._permits.acquire(timeout=GUARD_SECONDS), "no test let the step go on"
        if self.failure:
            raise self.failure
        velocity = self._engine.denoise(samples, timesteps, hidden, pooled)
        velocity[list(self.broken_rows)] = np.nan
        return velocity

    def padding(self, rows: int, latent: tuple[int, ...]) -> int:
        return self._engine.padding(rows, latent)

    def decode(self, latents: Floats) -> Floats:
        return self._engine.decode(latents)

    def encode(self, pixels: Floats) -> Floats:
        return self._engine.encode(pixels)

    def sketch(self, latents: Floats) -> Floats:
        return self._engine.sketch(latents)

    async def begins(self) -> None:
        """Wait until the next step has begun; it goes no further before `permit`."""
        await asyncio.wait_for(self._begun.get(), GUARD_SECONDS)

    def permit(self, steps: int = 1) -> None:
        """Let steps go on."""
        self._permits.release(steps)
