"""Draw pictures from an exported bundle with ONNX Runtime and NumPy alone, the way an engine would.

It is the plainest reading of the bundle's contract: no torch, one request at a time or one batch.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Floats = NDArray[np.float32]


class BundleSampler:
    """The graphs of one bundle, opened on the CPU."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        """Open every graph with ``threads`` threads inside an operator."""
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        self.facts = index["_mezzotint"]
        self.shift = float(scheduler["shift"])
        self.timesteps = float(scheduler["num_train_timesteps"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.text_encoder, self.unet, self.decoder = (
            onnxruntime.InferenceSession(folder / name / "model.onnx", options, providers=["CPUExecutionProvider"])
            for name in ("text_encoder", "unet", "vae_decoder")
        )

    def encode(self, prompts: list[str]) -> tuple[Floats, Floats]:
        """Return the states (B, 24, D) and the pooled vectors (B, D) of the prompts."""
        ids = np.array([encoding.ids for encoding in self.tokenizer.encode_batch(prompts)], dtype=np.int64)
        states, pooled = self.text_encoder.run(["last_hidden_state", "pooler_output"], {"input_ids": ids})
        return states, pooled

    def sigmas(self, steps: int) -> Floats:
        """Return ``steps + 1`` sigmas from 1 to 0, shifted as diffusers shifts them."""
        least = self._shifted(np.array([1 / self.timesteps]))[0]
        return np.append(self._shifted(np.linspace(1, least, steps)), 0).astype(np.float32)

    def _shifted(self, sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
        shifted: NDArray[np.float64] = self.shift * sigmas / (1 + (self.shift - 1) * sigmas)
        return shifted

    def velocity(self, sample: Floats, sigma: float, words: tuple[Floats, Floats], guidance: float) -> Floats:
        """Return the guided velocity (B, 4, 32, 32); ``words`` hold the prompts, then as many empty ones."""
        feed = {
            "sample": np.concatenate([sample, sample]),
            "timestep": np.full(2 * len(sample), sigma * self.timesteps, dtype=np.float32),
            "encoder_hidden_states": words[0],
            "text_embeds": words[1],
        }
        asked, free = np.split(self.unet.run(["out_sample"], feed)[0], 2)
        guided: Floats = (free + guidance * (asked - free)).astype(np.float32)
        return guided

    def draw_latents(self, prompts: list[str], *, seed: int, steps: int | None = None, guidance: float | None = None) -> Floats:
        """Return one latent (B, 4, 32, 32) a prompt, by Euler steps from seeded noise."""
        steps = steps or int(self.facts["steps_default"])
        guidance = self.facts["guidance_default"] if guidance is None else guidance
        words = self.encode(prompts + [""] * len(prompts))
        side = self.facts["latent_size"]
        shape = (len(prompts), self.facts["channels"], side, side)
        sample: Floats = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        sigmas = self.sigmas(steps)
        for sigma, following in pairwise(sigmas):
            sample = sample + (following - sigma) * self.velocity(sample, float(sigma), words, guidance)
        return sample

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """Return straight RGBA bytes (B, 256, 256, 4)."""
        signed = self.decoder.run(["sample"], {"latent_sample": latents})[0]
        scaled = np.clip((signed + 1) * 127.5, 0, 255).round().astype(np.uint8)
        return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))

    def draw(
        self, prompts: list[str], *, seed: int, steps: int | None = None, guidance: float | None = None
    ) -> NDArray[np.uint8]:
        """Return one picture (B, 256, 256, 4), straight RGBA bytes, a prompt."""
        return self.decode(self.draw_latents(prompts, seed=seed, steps=steps, guidance=guidance))
