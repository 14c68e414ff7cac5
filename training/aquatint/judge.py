"""Train the judge: a classifier that names real pictures, and with which drawn ones are measured.

``python -m training.aquatint.judge [--minutes M]``. It sees real pictures only, is another architecture than the denoiser,
and takes no part in training it. The export lies beside ``benchmarks/model_quality``, which needs no torch.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from training.aquatint.captions import load_records
from training.aquatint.checkpoint import Progress
from training.aquatint.colours import rotate_hue
from training.aquatint.graphs import GraphSpec, export_graph
from training.aquatint.latents import to_latent
from training.aquatint.locations import REPOSITORY_ROOT, default_cache_dir
from training.aquatint.pictures import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.schedule import add_schedule_arguments, schedule_from

JUDGE_DIR = REPOSITORY_ROOT / "benchmarks" / "model_quality"
JUDGE_FILE, LABELS_FILE = "judge.onnx", "judge_labels.json"
SIDE = 64
CHANNELS = (32, 64, 96, 128, 160)
HUE_TURNED = 0.2
HELD_OUT = 1500


class Judge(nn.Module):
    """Strided convolutions with batch normalisation, and the mean over positions: (B, 4, 64, 64) -> label scores."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 4
        for number, channels in enumerate(CHANNELS):
            stride = 1 if number == len(CHANNELS) - 1 else 2
            layers += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            width = channels
        self.body = nn.Sequential(*layers)
        self.name = nn.Linear(width * 4, labels)

    def forward(self, picture: Tensor) -> Tensor:
        """Map pictures in the latent's encoding (B, 4, 64, 64) to scores (B, labels)."""
        # Four quarters, so that above and below are told apart.
        quarters = functional.adaptive_avg_pool2d(self.body(picture), 2).flatten(1)
        scores: Tensor = self.name(quarters)
        return scores


class JudgeBatches:
    """Real pictures, each time otherwise turned, sized, shifted, lit and coloured, some coarsened as drawn ones are."""

    def __init__(self, pictures: Tensor, seed: int) -> None:
        """Keep ``pictures`` (N, 64, 64, 4), straight RGBA in [0, 1]."""
        self.pictures = pictures
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Return pictures (size, 4, 64, 64) in the latent's encoding, and their labels (size,)."""
        labels = torch.randint(len(self.pictures), (size,), generator=self.generator)
        turned = torch.where(self._uniform(size, 0, 1) < HUE_TURNED, self._uniform(size, 20, 340), self._uniform(size, -12, 12))
        latent = to_latent(rotate_hue(self.pictures[labels], turned))
        colour = latent[:, :3] * self._uniform(size, 0.75, 1.2)[:, None, None, None]
        latent = self._move(torch.cat([colour, latent[:, 3:]], dim=1), size)
        coarse = functional.interpolate(functional.avg_pool2d(latent, 2), scale_factor=2, mode="bilinear")
        part = self._uniform(size, 0, 1).round()[:, None, None, None]
        noise = torch.randn(latent.shape, generator=self.generator) * self._uniform(size, 0, 0.08)[:, None, None, None]
        return (coarse * part + latent * (1 - part) + noise).clamp(-1, 1), labels

    def _move(self, latent: Tensor, size: int) -> Tensor:
        angle, zoom = self._uniform(size, -0.25, 0.25), self._uniform(size, 0.95, 1.25)
        flip = torch.where(self._uniform(size, 0, 1) < 0.3, -1.0, 1.0)
        cosine, sine = angle.cos() * zoom, angle.sin() * zoom
        across, down = self._uniform(size, -0.12, 0.12), self._uniform(size, -0.12, 0.12)
        rows = torch.stack([cosine * flip, -sine, across, sine * flip, cosine, down], dim=1).reshape(size, 2, 3)
        grid = functional.affine_grid(rows, list(latent.shape), align_corners=False)
        # Shifted so that the zeros from outside mean "transparent".
        offset = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 4, 1, 1)
        return functional.grid_sample(latent + offset, grid, align_corners=False) - offset

    def _uniform(self, size: int, low: float, high: float) -> Tensor:
        return torch.rand(size, generator=self.generator) * (high - low) + low


def shrunken(cache_dir: Path) -> Tensor:
    """Return the real pictures (N, 64, 64, 4), straight RGBA in [0, 1]."""
    _, originals = load_pictures(cache_dir)
    small = []
    for original in originals:
        straight = torch.from_numpy(np.array(original)).float()[None] / 255
        alpha = straight[..., 3:]
        averaged = functional.avg_pool2d(torch.cat([straight[..., :3] * alpha, alpha], -1).permute(0, 3, 1, 2), 256 // SIDE)
        rgb = averaged[:, :3] / averaged[:, 3:].clamp_min(1 / 255)
        small.append(torch.cat([rgb, averaged[:, 3:]], dim=1).permute(0, 2, 3, 1))
    return torch.cat(small)


@torch.no_grad()
def accuracy(judge: nn.Module, batches: JudgeBatches, size: int) -> dict[str, float]:
    """Return how often the right label is first, and among the first five."""
    pictures, labels = batches.draw(size)
    ranks = (judge(pictures).argsort(dim=1, descending=True) == labels[:, None]).int().argmax(dim=1)
    return {f"top{limit}": float((ranks < limit).float().mean()) for limit in (1, 5)}


def train_judge(pictures: Tensor, arguments: argparse.Namespace, log_file: Path) -> Judge:
    """Train until the schedule ends, and return the judge with its running statistics."""
    torch.manual_seed(arguments.seed)
    judge = Judge(len(pictures)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.02, fused=True)
    batches, schedule, stop, progress = (
        JudgeBatches(pictures, arguments.seed),
        schedule_from(arguments),
        StopRequest(),
        Progress(),
    )
    log = RunLog(log_file, progress, schedule)
    while schedule.done(progress.step) < 1 and not stop.asked:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(progress.step)
        drawn, labels = batches.draw(arguments.batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = judge(drawn.to(memory_format=torch.channels_last))
        loss = functional.cross_entropy(scores.float(), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        log.step(float(loss.detach()), arguments.batch)
    return judge.eval()


def main() -> None:
    """Train, check on augmentations of another seed, and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--output", type=Path, default=JUDGE_DIR)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    add_schedule_arguments(parser, steps=4000, learning_rate=3e-3)
    arguments = parser.parse_args()
    pictures = shrunken(arguments.cache)
    judge = train_judge(pictures, arguments, arguments.cache / "judge_loss.csv")
    held_out = accuracy(judge, JudgeBatches(pictures, arguments.seed + 1), HELD_OUT)
    print(f"held-out augmentations: {held_out}", flush=True)
    spec = GraphSpec("judge", judge, ("picture",), ("scores",), lambda batch: (torch.randn(batch, 4, SIDE, SIDE),))
    arguments.output.mkdir(parents=True, exist_ok=True)
    export_graph(spec, arguments.output / JUDGE_FILE)
    about = {"held_out": held_out, "labels": [record.label for record in load_records(arguments.cache)]}
    (arguments.output / LABELS_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
