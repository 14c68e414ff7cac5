"""Train the base model: words and noise -> 32x32 latents.

``python -m training.aquatint.train [--steps N | --minutes M] [--run DIR]`` goes on from the run's checkpoint, if there is one.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.aquatint.base_model import BaseModel, sample_latents
from training.aquatint.batches import BatchSource
from training.aquatint.captions import load_records
from training.aquatint.checkpoint import (
    MovingAverage,
    Progress,
    in_channels_last,
    load_average,
    load_checkpoint,
    save_checkpoint,
)
from training.aquatint.devices import add_device_arguments
from training.aquatint.flow import draw_sigmas
from training.aquatint.latents import to_straight
from training.aquatint.locations import default_cache_dir
from training.aquatint.picture_store import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.schedule import add_schedule_arguments, schedule_from
from training.aquatint.sheets import SHEET_PROMPTS, save_sheet
from training.aquatint.tokenizer import tokenizer_file
from training.aquatint.words import CAPTION_RATES, WORDS_CHECKPOINT_FILE, Words

CHECKPOINT_FILE = "base.pt"
BEFORE_FALL_FILE = "base_before_fall.pt"
DRAFT_WEIGHT = 1.0
# What ``words`` teaches and what reads it, and the last layer, which has to begin at zero: the draft unchanged.
WORDS_MODULES = ("text_encoder.", "unet.draft.", "unet.text.", "unet.head.")
GRADIENT_NORM_MAX = 1.0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--run", type=Path, help="folder of this run (default: CACHE/run)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--captions", type=int, default=96, help="captions a step that teach words and draft only")
    parser.add_argument("--average-decay", type=float, default=0.995)
    parser.add_argument("--sigma-mean", type=float, default=0.6, help="above 0, more noise: shapes before detail")
    parser.add_argument("--sigma-spread", type=float, default=1.3)
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--sheet-every", type=int, default=400, help="steps; 0 draws none")
    add_device_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin-with", type=Path, help="a fresh run takes over the denoiser of this checkpoint where it fits")
    parser.add_argument("--before-fall", action="store_true", help="go on from where the last run's rate began to fall")
    add_schedule_arguments(parser, steps=20_000, learning_rate=8e-4)
    return parser.parse_args()


def refuse_contradictions(arguments: argparse.Namespace, resumed: Path) -> None:
    """Exit if the run was asked to begin in a way that what lies in its folder does not allow."""
    if arguments.before_fall and not resumed.exists():
        raise SystemExit(f"--before-fall: {resumed} is not there; a run keeps it when its learning rate begins to fall")
    if arguments.begin_with and resumed.exists():
        raise SystemExit(f"--begin-with is for a fresh run, and {resumed} would be gone on from; name another --run")


def load_words(path: Path, model: BaseModel) -> None:
    """Begin with the text encoder and the draft that ``words`` has taught, if it has."""
    if not path.exists():
        print(f"{path.name} is not there: text encoder and draft begin untaught", flush=True)
        return
    words = Words(BaseModel())
    load_average(path, words)
    model.text_encoder.load_state_dict(words.text_encoder.state_dict())
    model.unet.draft.load_state_dict(words.draft.state_dict())


@torch.no_grad()
def take_over(path: Path, model: nn.Module, without: tuple[str, ...]) -> int:
    """Copy into ``model`` what fits of an earlier run's average; return how many tensors did.

    Tensors whose names begin with one of ``without`` stay as they are. One that has more inputs than before keeps the
    old ones first and ignores the others at first.
    """
    earlier: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["average"]
    taken = 0
    for name, parameter in model.named_parameters():
        old = earlier.get(name)
        if old is None or name.startswith(without):
            continue
        if old.shape == parameter.shape:
            parameter.copy_(old)
        elif has_fewer_inputs(old, parameter):
            parameter.zero_()[:, : old.shape[1]] = old
        else:
            continue
        taken += 1
    return taken


def has_fewer_inputs(old: Tensor, new: Tensor) -> bool:
    """Tell whether two convolutions' weights (out, in, H, W) differ in that only the new one has inputs to spare."""
    if old.dim() != new.dim() or old.dim() != 4:
        return False
    return old.shape[0] == new.shape[0] and old.shape[1] < new.shape[1] and old.shape[2:] == new.shape[2:]


class Trainer:
    """Owns the model, its average and the data; ``run`` is the whole loop."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run_dir: Path = arguments.run or arguments.cache / "run"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(arguments.seed)
        self.tokenizer = Tokenizer.from_file(str(tokenizer_file(arguments.cache, self.run_dir)))
        self.device: torch.device = arguments.device
        self.model = in_channels_last(BaseModel().to(self.device))
        self.average = MovingAverage(self.model, arguments.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=arguments.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        resumed = self.run_dir / (BEFORE_FALL_FILE if arguments.before_fall else CHECKPOINT_FILE)
        refuse_contradictions(arguments, resumed)
        self.progress: Progress = load_checkpoint(resumed, self.model, self.average, self.optimizer)
        if not self.progress.step:
            self._begin()
        records, (views, _) = load_records(arguments.cache), load_pictures(arguments.cache)
        # A resumed run draws new batches, not those of the start again.
        seed = arguments.seed + self.progress.step
        self.source = BatchSource(records, views, self.tokenizer, seed=seed)
        self.captions = BatchSource(records, views, self.tokenizer, seed=seed + 1, rates=CAPTION_RATES)
        self.generator = torch.Generator().manual_seed(seed)

    def _begin(self) -> None:
        """Start from what is there: an earlier run's denoiser if one is named, and taught words."""
        load_words(self.run_dir / WORDS_CHECKPOINT_FILE, self.model)
        if self.arguments.begin_with:
            taken = take_over(self.arguments.begin_with, self.model, WORDS_MODULES)
            print(f"{taken} tensors taken over from {self.arguments.begin_with.name}", flush=True)
        self.average.module.load_state_dict(self.model.state_dict())

    def run(self) -> None:
        """Train up to the last step, with checkpoints and sheets on the way."""
        schedule, stop = schedule_from(self.arguments), StopRequest()
        log = RunLog(self.run_dir / "base_loss.csv", self.progress, schedule)
        last, kept = schedule.done(self.progress.step) >= 1, schedule.is_falling(self.progress.step)
        while not last:
            log.step(self._step(schedule.rate(self.progress.step)), self.arguments.batch)
            last = stop.asked or schedule.done(self.progress.step) >= 1
            if schedule.is_falling(self.progress.step) and not kept:
                self._save(BEFORE_FALL_FILE)
                kept = True
            if last or self.progress.step % self.arguments.save_every == 0:
                self._save(CHECKPOINT_FILE)
            every = self.arguments.sheet_every
            if every and (last or self.progress.step % every == 0):
                self._draw_sheet()
            log.pause_ended()

    def _step(self, rate: float) -> float:
        """Take one optimiser step at this learning rate and return the correction's loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        data, input_ids = self.source.draw(self.arguments.batch)
        noise = torch.randn(data.shape, generator=self.generator)
        sigmas = draw_sigmas(len(data), self.generator, self.arguments.sigma_mean, self.arguments.sigma_spread)
        data, noise = (tensor.to(self.device, memory_format=torch.channels_last) for tensor in (data, noise))
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            corrected, drafted = self.model.losses(data, noise, input_ids.to(self.device), sigmas.to(self.device))
            if self.arguments.captions:
                taught = (tensor.to(self.device) for tensor in self.captions.draw(self.arguments.captions))
                drafted = drafted + self.model.draft_loss(*taught)
        self.optimizer.zero_grad()
        torch.autograd.backward(corrected + DRAFT_WEIGHT * drafted)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM_MAX)
        self.optimizer.step()
        self.average.update(self.model, self.progress.step)
        return float(corrected.detach())

    def _save(self, name: str) -> None:
        save_checkpoint(self.run_dir / name, self.model, self.average, self.optimizer, self.progress)

    def _draw_sheet(self) -> None:
        latents = sample_latents(self.average.module, self.tokenizer, list(SHEET_PROMPTS), seed=1)
        path = self.run_dir / f"base_{self.progress.step:06d}.png"
        save_sheet(path, to_straight(latents), SHEET_PROMPTS)


def main() -> None:
    """Train the base model."""
    Trainer(parse_arguments()).run()


if __name__ == "__main__":
    main()
