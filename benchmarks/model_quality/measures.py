"""The figures: fidelity to words, colours, diversity, nearness to training pictures, speed and size."""

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.model_quality.judging import Bytes, Floats, Judge, shrink
from benchmarks.model_quality.prompts import COLOUR_TRIES, COMPOSITES, label_prompts
from training.aquatint.bundle_sampler import BundleSampler
from training.aquatint.colour_naming import dominant_colours
from training.aquatint.pictures import BASE_FILE, BASE_SIZE

CHUNK = 8
TOP = 5
COLOUR_SHARE_MIN = 0.4
Figures = dict[str, float]


def draw(sampler: BundleSampler, prompts: Sequence[str], seed: int) -> Bytes:
    """Draw one picture a prompt, a few at a time; every chunk has a seed of its own."""
    chunks = [list(prompts[start : start + CHUNK]) for start in range(0, len(prompts), CHUNK)]
    return np.concatenate([sampler.draw(chunk, seed=seed + number) for number, chunk in enumerate(chunks)])


def fidelity(sampler: BundleSampler, judge: Judge, count: int, seed: int) -> Figures:
    """How often the judge names the label that was asked for: first, and among its first five."""
    rows = label_prompts(judge.labels, count)
    ranks = judge.ranks(draw(sampler, [judge.labels[row] for row in rows], seed), rows)
    return {"label_top1": float((ranks < 1).mean()), "label_top5": float((ranks < TOP).mean()), "label_prompts": count}


def colour_transfer(sampler: BundleSampler, judge: Judge, count: int, seed: int) -> Figures:
    """How often a colour word wins the largest part, at least 40 %, of a thing that never had it.

    And how often, of the things that the judge knows, it names the thing as well.
    """
    tries = COLOUR_TRIES[:: len(COLOUR_TRIES) // count][:count]
    pictures = draw(sampler, [" ".join(each) for each in tries], seed)
    seen = dominant_colours(pictures.astype(np.float32) / np.float32(255), COLOUR_SHARE_MIN)
    coloured = np.array([name == colour for name, (colour, _) in zip(seen, tries, strict=True)])
    known = [place for place, (_, thing) in enumerate(tries) if thing in judge.labels]
    ranks = judge.ranks(pictures[known], [judge.labels.index(tries[place][1]) for place in known])
    both = coloured[known] & (ranks < TOP)
    return {"colour_transfer": float(coloured.mean()), "colour_and_label_top5": float(both.mean()), "colour_tries": len(tries)}


def apart(first: Floats, second: Floats) -> Floats:
    """Root mean square differences of premultiplied pictures: (N, ...) and (M, ...) -> (N, M)."""
    one, other = first.reshape(len(first), -1), second.reshape(len(second), -1)
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    distances: Floats = np.sqrt(np.maximum(squares, 0) / one.shape[1])
    return distances


def diversity(sampler: BundleSampler, count: int, seeds: int, cache_dir: Path | None) -> Figures:
    """How far composite prompts' pictures are from each other, and from the nearest training picture where these are at hand.

    Distances are root mean squares over premultiplied RGBA at 32x32, in [0, 1].
    """
    prompts = COMPOSITES[:count]
    drawn = [shrink(sampler.draw([prompt] * seeds, seed=number), BASE_SIZE) for number, prompt in enumerate(prompts)]
    pairs = [apart(each, each)[one, other] for each in drawn for one, other in itertools.combinations(range(seeds), 2)]
    between = apart(np.stack([each[0] for each in drawn]), np.stack([each[0] for each in drawn]))
    figures = {
        "seeds_apart_mean": float(np.mean(pairs)),
        "seeds_apart_min": float(np.min(pairs)),
        "prompts_apart_mean": float(between[np.triu_indices(len(prompts), 1)].mean()),
    }
    views = cache_dir / BASE_FILE if cache_dir else None
    if views is None or not views.exists():
        return figures
    real = np.load(views)[:, 0].astype(np.float32) / 255
    real[..., :3] *= real[..., 3:]
    nearest = np.concatenate([apart(each, real).min(1) for each in drawn])
    own = apart(real, real)
    np.fill_diagonal(own, np.inf)
    return figures | {
        "nearest_training_min": float(nearest.min()),
        "nearest_training_median": float(np.median(nearest)),
        "training_nearest_median": float(np.median(own.min(1))),
    }


def speed(sampler: BundleSampler, repeats: int) -> Figures:
    """Seconds a 256x256 picture with the default steps and guidance, words to bytes, at batch 1 and 8: medians."""
    return {f"seconds_per_image_b{batch}": statistics.median(timings(sampler, batch, repeats)) / batch for batch in (1, CHUNK)}


def timings(sampler: BundleSampler, batch: int, repeats: int) -> Iterator[float]:
    """Seconds of each of several drawings, after one to warm up."""
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        sampler.draw(["red heart"] * batch, seed=repeat)
        if repeat:
            yield time.perf_counter() - started


def sizes(model_dir: Path) -> Figures:
    """Size of each graph in MB, and of all."""
    graphs = {path.parent.name: path.stat().st_size / 1e6 for path in sorted(model_dir.glob("*/model.onnx"))}
    return {"graphs_mb": sum(graphs.values())} | {f"{name}_mb": size for name, size in graphs.items()}
