"""Teach the text encoder and the draft: captions -> mean pictures, a thousand captions a second.

``python -m training.aquatint.words [--minutes M] [--run DIR]``. This takes minutes, and gives ``train`` an encoder that
already knows what its words look like.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.aquatint.base_model import BaseModel
from training.aquatint.batches import AugmentationRates, BatchSource
from training.aquatint.captions import load_records
from training.aquatint.checkpoint import MovingAverage, Progress, load_checkpoint, save_checkpoint
from training.aquatint.devices import add_device_arguments
from training.aquatint.latents import to_straight
from training.aquatint.locations import default_cache_dir
from training.aquatint.picture_store import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.schedule import add_schedule_arguments, schedule_from
from training.aquatint.sheets import SHEET_PROMPTS, save_sheet
from training.aquatint.text_encoder import encode_prompts
from training.aquatint.tokenizer import tokenizer_file

WORDS_CHECKPOINT_FILE = "words.pt"
GRADIENT_NORM_MAX = 1.0
CAPTION_RATES = AugmentationRates(uncommon_shown=1.0)  # captions are cheap: rare things take part as often as others


class Words(nn.Module):
    """The parts of the base model that see no noise."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__()
        self.text_encoder = base.text_encoder
        self.draft = base.unet.draft

    def forward(self, input_ids: Tensor) -> Tensor:
        """Map captions (B, 24) to mean latents (B, 4, 32, 32)."""
        drawn: Tensor = self.draft(self.text_encoder(input_ids)[1])
        return drawn


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--run", type=Path, help="folder of this run (default: CACHE/run)")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--save-every", type=int, default=2000, help="steps between checkpoints, each with a sheet")
    add_device_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_schedule_arguments(parser, steps=6000, learning_rate=1e-3)
    return parser.parse_args()


def train_words(arguments: argparse.Namespace, run_dir: Path) -> None:
    """Train until the schedule ends; go on from ``words.pt``, if there is one, and write it again."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokenizer = Tokenizer.from_file(str(tokenizer_file(arguments.cache, run_dir)))
    device: torch.device = arguments.device
    model = Words(BaseModel()).to(device)
    average = MovingAverage(model, decay=0.99)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=arguments.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    path = run_dir / WORDS_CHECKPOINT_FILE
    progress: Progress = load_checkpoint(path, model, average, optimizer)
    views, _ = load_pictures(arguments.cache)
    seed = arguments.seed + progress.step
    source = BatchSource(load_records(arguments.cache), views, tokenizer, seed=seed, rates=CAPTION_RATES)
    schedule, stop = schedule_from(arguments), StopRequest()
    log = RunLog(run_dir / "words_loss.csv", progress, schedule)
    while schedule.done(progress.step) < 1 and not stop.asked:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(progress.step)
        data, input_ids = source.draw(arguments.batch)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            drawn = model(input_ids.to(device))
        loss = (drawn.float() - data.to(device)).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM_MAX)
        optimizer.step()
        average.update(model, progress.step)
        log.step(float(loss.detach()), arguments.batch)
        if progress.step % arguments.save_every == 0:
            save_checkpoint(path, model, average, optimizer, progress)
            draw_drafts(average.module, tokenizer, run_dir / f"words_{progress.step:06d}.png")
            log.pause_ended()
    save_checkpoint(path, model, average, optimizer, progress)
    draw_drafts(average.module, tokenizer, run_dir / f"words_{progress.step:06d}.png")


@torch.no_grad()
def draw_drafts(words: Words, tokenizer: Tokenizer, path: Path) -> None:
    """Write what the drafts of the sheet's prompts look like."""
    ids = encode_prompts(tokenizer, list(SHEET_PROMPTS)).to(words.draft.draw.weight.device)
    save_sheet(path, to_straight(words(ids)), SHEET_PROMPTS)


def main() -> None:
    """Train the words."""
    arguments = parse_arguments()
    run_dir: Path = arguments.run or arguments.cache / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    train_words(arguments, run_dir)


if __name__ == "__main__":
    main()
