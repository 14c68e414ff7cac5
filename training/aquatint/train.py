"""Train the base model: words and noise -> 32x32 latents.

``python -m training.aquatint.train [--steps N] [--run DIR]`` goes on from the run's checkpoint, if there is one.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.aquatint.base_model import BaseModel, sample_latents
from training.aquatint.batches import BatchSource
from training.aquatint.captions import TOKENIZER_FILE, load_records
from training.aquatint.checkpoint import MovingAverage, Progress, in_channels_last, load_checkpoint, save_checkpoint
from training.aquatint.flow import draw_sigmas
from training.aquatint.latents import to_straight
from training.aquatint.locations import default_cache_dir
from training.aquatint.pictures import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.sheets import SHEET_PROMPTS, save_sheet

CHECKPOINT_FILE = "base.pt"
GRADIENT_NORM_MAX = 1.0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--run", type=Path, help="folder of this run (default: CACHE/run)")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--decay-steps", type=int, default=1500, help="the rate falls to zero over the last ones")
    parser.add_argument("--warm-up-steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--average-decay", type=float, default=0.99)
    parser.add_argument("--sigma-mean", type=float, default=1.3, help="above 0, more noise: shapes before detail")
    parser.add_argument("--sigma-spread", type=float, default=1.2)
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--sheet-every", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def learning_rate(step: int, arguments: argparse.Namespace) -> float:
    """Warm up, hold, then fall linearly to zero (Hu et al. 2024), so a run can be lengthened before it falls."""
    warm = min(1.0, (step + 1) / arguments.warm_up_steps)
    fall = min(1.0, (arguments.steps - step) / arguments.decay_steps)
    return float(arguments.learning_rate * min(warm, fall))


class Trainer:
    """Owns the model, its average and the data; ``run`` is the whole loop."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run_dir: Path = arguments.run or arguments.cache / "run"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(arguments.seed)
        self.tokenizer = Tokenizer.from_file(str(arguments.cache / TOKENIZER_FILE))
        self.model = in_channels_last(BaseModel())
        self.average = MovingAverage(self.model, arguments.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=arguments.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.progress: Progress = load_checkpoint(self.run_dir / CHECKPOINT_FILE, self.model, self.average, self.optimizer)
        records, (views, _) = load_records(arguments.cache), load_pictures(arguments.cache)
        # A resumed run draws new batches, not those of the start again.
        seed = arguments.seed + self.progress.step
        self.source = BatchSource(records, views, self.tokenizer, seed=seed)
        self.generator = torch.Generator().manual_seed(seed)

    def run(self) -> None:
        """Train up to the last step, with checkpoints and sheets on the way."""
        log = RunLog(self.run_dir / "base_loss.csv", self.progress, self.arguments.steps)
        stop = StopRequest()
        while self.progress.step < self.arguments.steps and not stop.asked:
            log.step(self._step(), self.arguments.batch)
            last = stop.asked or self.progress.step == self.arguments.steps
            if last or self.progress.step % self.arguments.save_every == 0:
                self._save()
            if last or self.progress.step % self.arguments.sheet_every == 0:
                self._draw_sheet()
            log.pause_ended()

    def _step(self) -> float:
        """Take one optimiser step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.progress.step, self.arguments)
        data, input_ids = self.source.draw(self.arguments.batch)
        data = data.to(memory_format=torch.channels_last)
        noise = torch.randn(data.shape, generator=self.generator).to(memory_format=torch.channels_last)
        sigmas = draw_sigmas(len(data), self.generator, self.arguments.sigma_mean, self.arguments.sigma_spread)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.model.loss(data, input_ids, sigmas, noise)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM_MAX)
        self.optimizer.step()
        self.average.update(self.model, self.progress.step)
        return float(loss.detach())

    def _save(self) -> None:
        path = self.run_dir / CHECKPOINT_FILE
        save_checkpoint(path, self.model, self.average, self.optimizer, self.progress)

    def _draw_sheet(self) -> None:
        latents = sample_latents(self.average.module, self.tokenizer, list(SHEET_PROMPTS), seed=1)
        path = self.run_dir / f"base_{self.progress.step:06d}.png"
        save_sheet(path, to_straight(latents), SHEET_PROMPTS)


def main() -> None:
    """Train the base model."""
    Trainer(parse_arguments()).run()


if __name__ == "__main__":
    main()
