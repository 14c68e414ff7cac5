"""Measure an exported bundle: colours, recognisability and speed; draw its contact sheet.

``python -m training.aquatint.evaluate [--model DIR] [--sheet FILE] [--labels N]``
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from training.aquatint.bundle_sampler import BundleSampler
from training.aquatint.captions import load_records
from training.aquatint.colours import dominant_colours
from training.aquatint.latents import to_latent
from training.aquatint.locations import MODEL_DIR, default_cache_dir
from training.aquatint.pictures import load_pictures
from training.aquatint.sheets import SHEET_PROMPTS, contact_sheet

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SUBJECTS = ("heart", "rocket", "cat", "car", "star", "house")
COLOUR_SHARE_MIN = 0.4
BATCHES = (1, 4, 8)
CHUNK = 16
SHEET_COLOURS = 192  # a palette keeps the sheet small enough to commit
SHEET_TILE_PX = 144
Item = TypeVar("Item")


def chunks(items: list[Item]) -> Iterator[list[Item]]:
    """Cut a list into pieces of at most ``CHUNK``."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def colour_accuracy(sampler: BundleSampler, seed: int) -> float:
    """Return the share of "COLOUR SUBJECT" pictures of which that colour covers the largest part, at least 40 %."""
    right, pairs = 0, list(itertools.product(COLOURS, SUBJECTS))
    for chunk in chunks(pairs):
        pictures = sampler.draw([" ".join(pair) for pair in chunk], seed=seed)
        seen = dominant_colours(torch.from_numpy(pictures).float() / 255, COLOUR_SHARE_MIN)
        right += sum(name == colour for name, (colour, _) in zip(seen, chunk, strict=True))
    return right / len(pairs)


def retrieval(sampler: BundleSampler, cache_dir: Path, labels: int, seed: int) -> dict[str, float]:
    """Draw random labels, and rank the label's own picture among all by latent distance.

    Pictures that share words look alike, so top-10 says "recognisable", top-1 "the very picture".
    """
    records, (views, _) = load_records(cache_dir), load_pictures(cache_dir)
    pictures = to_latent(torch.from_numpy(views[:, 0]).float() / 255).flatten(1)
    chosen = np.random.default_rng(seed).choice(len(records), size=labels, replace=False)
    ranks: list[int] = []
    for chunk in chunks(chosen.tolist()):
        drawn = torch.from_numpy(sampler.draw_latents([records[row].label for row in chunk], seed=seed))
        distances = torch.cdist(drawn.flatten(1), pictures)
        own = distances[torch.arange(len(chunk)), torch.tensor(chunk)]
        ranks += (distances < own[:, None]).sum(1).tolist()
    return {f"top{limit}": float(np.mean(np.array(ranks) < limit)) for limit in (1, 10)}


def milliseconds(call: Callable[[], object], repeats: int = 10) -> float:
    """Return the best of several timings, after one call to warm up."""
    call()
    timings = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        timings.append(time.perf_counter() - started)
    return min(timings) * 1000


def speed(sampler: BundleSampler) -> dict[str, float]:
    """Time one denoiser call and one decode at several batch sizes, in milliseconds a call."""
    timings = {}
    for batch in BATCHES:
        words, pooled = sampler.encode(["red heart"] * batch)
        sample = np.random.default_rng(0).standard_normal((batch, 4, 32, 32), dtype=np.float32)
        feed = {
            "sample": sample,
            "timestep": np.full(batch, 500, dtype=np.float32),
            "encoder_hidden_states": words,
            "text_embeds": pooled,
        }
        timings[f"unet_ms_batch_{batch}"] = milliseconds(partial(sampler.unet.run, None, feed))
        timings[f"decode_ms_batch_{batch}"] = milliseconds(partial(sampler.decode, sample))
    return timings


def draw_sheet(sampler: BundleSampler, path: Path, seed: int) -> None:
    """Write the contact sheet of ``SHEET_PROMPTS``, one fixed seed and no choosing."""
    pictures = np.concatenate([sampler.draw(chunk, seed=seed) for chunk in chunks(list(SHEET_PROMPTS))])
    sheet = contact_sheet(pictures, SHEET_PROMPTS, tile=SHEET_TILE_PX)
    sheet.quantize(SHEET_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--sheet", type=Path, help="write the contact sheet here")
    parser.add_argument("--labels", type=int, default=96, help="how many labels to draw for the retrieval measure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sampler = BundleSampler(arguments.model, arguments.threads)
    if arguments.sheet:
        draw_sheet(sampler, arguments.sheet, arguments.seed)
    measured = {"colour_accuracy": colour_accuracy(sampler, arguments.seed)}
    measured |= retrieval(sampler, arguments.cache, arguments.labels, arguments.seed)
    measured |= speed(sampler)
    print(json.dumps({name: round(value, 3) for name, value in measured.items()}, indent=2), flush=True)


if __name__ == "__main__":
    main()
