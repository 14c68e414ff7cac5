"""Draw the contact sheet of an exported bundle: 64 fixed prompts, one seed, no choosing.

``python -m training.aquatint.samples [--model DIR] [--sheet FILE] [--seed N]``.
For figures, ``python -m benchmarks.model_quality``.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.aquatint.bundle_sampler import BundleSampler
from training.aquatint.locations import MODEL_DIR
from training.aquatint.sheets import SAMPLE_PROMPTS, contact_sheet

CHUNK = 8
SHEET_TILE_PX = 128
# Colours are rounded to this many levels, unseen, which keeps the sheet small enough to commit.
LEVELS_STEP = 4
WHITE_MIN = 251


def draw_sheet(sampler: BundleSampler, path: Path, seed: int, steps: int | None, guidance: float | None) -> None:
    """Write the contact sheet of ``SAMPLE_PROMPTS``."""
    prompts = list(SAMPLE_PROMPTS)
    pictures = np.concatenate(
        [
            sampler.draw(prompts[start : start + CHUNK], seed=seed + start, steps=steps, guidance=guidance)
            for start in range(0, len(prompts), CHUNK)
        ]
    )
    rounded(contact_sheet(pictures, prompts, tile=SHEET_TILE_PX)).save(path, optimize=True)


def rounded(sheet: Image.Image) -> Image.Image:
    """Round colours to the middle of their step; white stays white."""
    levels = np.asarray(sheet)
    middles = levels // LEVELS_STEP * LEVELS_STEP + LEVELS_STEP // 2
    return Image.fromarray(np.where(levels >= WHITE_MIN, 255, middles).astype(np.uint8))


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--sheet", type=Path, default=MODEL_DIR / "samples.png")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="default: the bundle's")
    parser.add_argument("--guidance", type=float, help="default: the bundle's")
    arguments = parser.parse_args()
    draw_sheet(BundleSampler(arguments.model), arguments.sheet, arguments.seed, arguments.steps, arguments.guidance)


if __name__ == "__main__":
    main()
