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
SHEET_COLOURS = 192  # a palette keeps the sheet small enough to commit
SHEET_TILE_PX = 144


def draw_sheet(sampler: BundleSampler, path: Path, seed: int, steps: int | None, guidance: float | None) -> None:
    """Write the contact sheet of ``SAMPLE_PROMPTS``."""
    prompts = list(SAMPLE_PROMPTS)
    pictures = np.concatenate(
        [
            sampler.draw(prompts[start : start + CHUNK], seed=seed + start, steps=steps, guidance=guidance)
            for start in range(0, len(prompts), CHUNK)
        ]
    )
    sheet = contact_sheet(pictures, prompts, tile=SHEET_TILE_PX)
    sheet.quantize(SHEET_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


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
