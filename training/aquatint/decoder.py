"""Train the decoder: 32x32 latents -> 256x256 RGBA.

``python -m training.aquatint.decoder [--steps N] [--run DIR] [--base]`` goes on from the run's checkpoint.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from training.aquatint.base_model import BaseModel
from training.aquatint.checkpoint import MovingAverage, in_channels_last, load_average, load_checkpoint, save_checkpoint
from training.aquatint.decoder_batches import DecoderPairs
from training.aquatint.devices import add_device_arguments
from training.aquatint.latents import to_straight
from training.aquatint.locations import default_cache_dir
from training.aquatint.picture_store import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.schedule import add_schedule_arguments, schedule_from
from training.aquatint.sheets import save_sheet
from training.aquatint.train import CHECKPOINT_FILE
from training.aquatint.upscaler import Decoder, Upscaler

DECODER_CHECKPOINT_FILE = "decoder.pt"
EDGE_WEIGHT = 1.0
SHEET_PAIRS = 8


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--run", type=Path, help="folder of this run (default: CACHE/run)")
    parser.add_argument("--base", action="store_true", help="train on latents that the base model redraws")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--average-decay", type=float, default=0.995)
    parser.add_argument("--save-every", type=int, default=200)
    add_device_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_schedule_arguments(parser, steps=4000, learning_rate=7e-4)
    return parser.parse_args()


def picture_loss(drawn: Tensor, target: Tensor) -> Tensor:
    """Absolute error of values and of their differences to the next pixel: both must be right for a crisp edge."""
    error = drawn.float() - target
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + EDGE_WEIGHT * (across.abs().mean() + down.abs().mean())


class DecoderTrainer:
    """Owns the upscaler, its average and the pairs; ``run`` is the whole loop."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run_dir: Path = arguments.run or arguments.cache / "run"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(arguments.seed)
        self.device: torch.device = arguments.device
        self.upscaler = in_channels_last(Upscaler().to(self.device))
        self.average = MovingAverage(self.upscaler, arguments.average_decay)
        self.optimizer = torch.optim.AdamW(self.upscaler.parameters(), lr=arguments.learning_rate, weight_decay=1e-4)
        self.checkpoint = self.run_dir / DECODER_CHECKPOINT_FILE
        self.progress = load_checkpoint(self.checkpoint, self.upscaler, self.average, self.optimizer)
        _, originals = load_pictures(arguments.cache)
        seed = arguments.seed + self.progress.step
        self.pairs = DecoderPairs(originals, seed, self._base() if arguments.base else None)

    def _base(self) -> BaseModel:
        base = BaseModel()
        load_average(self.run_dir / CHECKPOINT_FILE, base)
        return base.to(self.device)

    def run(self) -> None:
        """Train up to the last step, with checkpoints and sheets on the way."""
        schedule, stop = schedule_from(self.arguments), StopRequest()
        log = RunLog(self.run_dir / "decoder_loss.csv", self.progress, schedule)
        last = False
        while not last:
            log.step(self._step(schedule.rate(self.progress.step)), self.arguments.batch)
            last = stop.asked or schedule.done(self.progress.step) >= 1
            if last or self.progress.step % self.arguments.save_every == 0:
                save_checkpoint(self.checkpoint, self.upscaler, self.average, self.optimizer, self.progress)
                self._draw_sheet()
            log.pause_ended()

    def _step(self, rate: float) -> float:
        """Take one optimiser step at this learning rate and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            latent, target = self.pairs.draw(self.arguments.batch)
            drawn = self.upscaler(latent.to(self.device, memory_format=torch.channels_last))
            loss = picture_loss(drawn, target.to(self.device))
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.upscaler.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.upscaler, self.progress.step)
        return float(loss.detach())

    @torch.no_grad()
    def _draw_sheet(self) -> None:
        """Write decoded pictures beside what they should be."""
        latent, target = DecoderPairs(self.pairs.originals, seed=5, base=self.pairs.base).draw(SHEET_PAIRS)
        decoded = Decoder(self.average.module)(latent.to(self.device)).cpu()
        captions = ["decoded"] * SHEET_PAIRS + ["target"] * SHEET_PAIRS
        path = self.run_dir / f"decoder_{self.progress.step:06d}.png"
        save_sheet(path, torch.cat([decoded, to_straight(target)]), captions)


def main() -> None:
    """Train the decoder."""
    DecoderTrainer(parse_arguments()).run()


if __name__ == "__main__":
    main()
