"""The figures: fidelity to words, colours, diversity, nearness to training pictures, speed and size."""

import itertools
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.model_quality.judging import Bytes, Floats, Judge, shrink
from benchmarks.model_quality.prompts import COLOUR_TRIES, COMPOSITES, label_prompts
from training.aquatint.bundle_sampler import BundleSampler
from training.aquatint.captions import load_records
from training.aquatint.colour_naming import dominant_colours
from training.aquatint.locations import BASE_FILE
from training.aquatint.pictures import BASE_SIZE
from training.aquatint.records import FLAT, SOLID

CHUNK = 8
TOP = 5
STEPS_FEW = 8
COLOUR_SHARE_MIN = 0.4
OPAQUE_MIN, EVEN_STEP_MAX = 250, 2  # of 255
Figures = dict[str, float]


def draw(sampler: BundleSampler, prompts: Sequence[str], seed: int, steps: int | None = None) -> Bytes:
    """Draw one picture a prompt, a few at a time; every chunk has a seed of its own."""
    chunks = [list(prompts[start : start + CHUNK]) for start in range(0, len(prompts), CHUNK)]
    return np.concatenate([sampler.draw(chunk, seed=seed + number, steps=steps) for number, chunk in enumerate(chunks)])


def fidelity(sampler: BundleSampler, judge: Judge, count: int, seed: int) -> Figures:
    """How often the judge names the label that was asked for: first, and among its first five; for some, in few steps too."""
    rows = label_prompts(judge.labels, count)
    some = rows[: math.ceil(count / 4)]
    ranks = judge.ranks(draw(sampler, [judge.labels[row] for row in rows], seed), rows)
    hasty = judge.ranks(draw(sampler, [judge.labels[row] for row in some], seed, STEPS_FEW), some)
    return {
        "label_top1": float((ranks < 1).mean()),
        "label_top5": float((ranks < TOP).mean()),
        f"label_top5_{STEPS_FEW}_steps": float((hasty < TOP).mean()),
        "label_prompts": count,
    }


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


def flatness(pictures: Bytes) -> Floats:
    """Return the share of opaque neighbours, left and right, that differ by no more than shading would: (B, H, W, 4) -> (B,).

    Every one of 201 real flat pictures has more of them than the solid picture of the same thing (medians 0.91 and 0.68).
    """
    opaque = pictures[..., 3] >= OPAQUE_MIN
    pairs = opaque[:, :, 1:] & opaque[:, :, :-1]
    steps = np.abs(np.diff(pictures[..., :3].astype(np.int16), axis=2)).max(-1)
    even: Floats = (pairs & (steps <= EVEN_STEP_MAX)).sum((1, 2)) / np.maximum(pairs.sum((1, 2)), 1)
    return even


def style(sampler: BundleSampler, judge: Judge, count: int, seed: int, cache_dir: Path | None) -> Figures:
    """What the word "flat" does to a label's picture, from the same noise: how often is it flatter and still shows the label.

    And, where training pictures are at hand, is it nearer to the flat one of the thing than to the solid one?
    """
    rows = label_prompts(judge.labels, count)
    labels = [judge.labels[row] for row in rows]
    solid, flat = draw(sampler, labels, seed), draw(sampler, [f"{label}, flat" for label in labels], seed)
    figures = {
        "flat_is_flatter": float((flatness(flat) > flatness(solid)).mean()),
        "flatness_solid": float(np.median(flatness(solid))),
        "flatness_flat": float(np.median(flatness(flat))),
        "flat_label_top5": float((judge.ranks(flat, rows) < TOP).mean()),
    }
    real = {each: training_pictures(cache_dir, each) for each in (SOLID, FLAT)}
    known = [place for place, label in enumerate(labels) if all(label in pictures for pictures in real.values())]
    if not known:
        return figures
    own, other = (np.stack([real[each][labels[place]] for place in known]) for each in (FLAT, SOLID))
    drawn = shrink(flat[known], BASE_SIZE)
    nearer = np.square(drawn - own).mean((1, 2, 3)) < np.square(drawn - other).mean((1, 2, 3))
    return figures | {"flat_nearer_flat": float(nearer.mean())}


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
    real = training_pictures(cache_dir, SOLID)
    return figures | nearness(np.concatenate(drawn), np.stack(list(real.values()))) if real else figures


def nearness(drawn: Floats, real: Floats) -> Figures:
    """How far drawn pictures are from the nearest training picture, and training pictures of one style from each other."""
    nearest, own = apart(drawn, real).min(1), apart(real, real)
    np.fill_diagonal(own, np.inf)
    return {
        "nearest_training_min": float(nearest.min()),
        "nearest_training_median": float(np.median(nearest)),
        "training_nearest_median": float(np.median(own.min(1))),
    }


def training_pictures(cache_dir: Path | None, style: str) -> dict[str, Floats]:
    """Return one style's training pictures by label, as ``shrink`` would (32, 32, 4), or none where they are not at hand."""
    views = cache_dir / BASE_FILE if cache_dir else None
    if cache_dir is None or views is None or not views.exists():
        print(f"no training pictures ({BASE_FILE}) in {cache_dir}: nearness to them is left out", file=sys.stderr)
        return {}
    rows = {record.label: row for row, record in enumerate(load_records(cache_dir)) if record.style == style}
    return dict(zip(rows, shrink(np.load(views)[list(rows.values()), 0], BASE_SIZE), strict=True))


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
