"""Train the judge: a classifier that names real pictures, and with which drawn ones are measured.

``python -m training.aquatint.judge [--minutes M]``. It sees real pictures only, is another architecture than the denoiser,
and takes no part in training it. The export lies beside ``benchmarks/model_quality``, which needs no torch.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.aquatint.captions import load_records
from training.aquatint.checkpoint import Progress, in_channels_last
from training.aquatint.colours import rotate_hue
from training.aquatint.devices import add_device_arguments
from training.aquatint.graphs import GraphSpec, export_graph
from training.aquatint.latents import to_latent
from training.aquatint.locations import REPOSITORY_ROOT, default_cache_dir
from training.aquatint.picture_store import load_pictures
from training.aquatint.progress import RunLog, StopRequest
from training.aquatint.records import SOLID
from training.aquatint.schedule import add_schedule_arguments, schedule_from

JUDGE_DIR = REPOSITORY_ROOT / "benchmarks" / "model_quality"
JUDGE_FILE, LABELS_FILE = "judge.onnx", "judge_labels.json"
SIDE = 32
CHANNELS = (32, 64, 128, 128)
HIDDEN = 192
HUE_TURNED = 0.15
FLIPPED = 0.3
SHIFT_PX_MAX = 2
HELD_OUT_VIEW = -1  # turned, sized and shifted unlike those that are trained on
HELD_OUT = 3000


class Judge(nn.Module):
    """Strided convolutions with batch normalisation, then two dense layers: (B, 4, 32, 32) -> label scores."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 4
        for number, channels in enumerate(CHANNELS):
            stride = 2 if number else 1
            layers += [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            width = channels
        self.body = nn.Sequential(*layers)
        side = SIDE >> (len(CHANNELS) - 1)
        self.name = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(width * side * side, HIDDEN), nn.ReLU(), nn.Dropout(0.2), nn.Linear(HIDDEN, labels)
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Map pictures in the latent's encoding (B, 4, 32, 32) to scores (B, labels)."""
        scores: Tensor = self.name(self.body(picture).flatten(1))
        return scores


class JudgeBatches:
    """Real pictures, each time turned and sized (their views), flipped, shifted, lit, coloured and roughened otherwise."""

    def __init__(self, views: Tensor, seed: int) -> None:
        """Keep ``views`` (N, V, 32, 32, 4): straight RGBA bytes."""
        self.views = views
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Return pictures (size, 4, 32, 32) in the latent's encoding, and their labels (size,)."""
        labels = torch.randint(len(self.views), (size,), generator=self.generator)
        chosen = torch.randint(self.views.shape[1], (size,), generator=self.generator)
        turned = torch.where(self._uniform(size, 0, 1) < HUE_TURNED, self._uniform(size, 20, 340), self._uniform(size, -12, 12))
        latent = to_latent(rotate_hue(self.views[labels, chosen].float() / 255, turned))
        flipped = self._uniform(size, 0, 1) < FLIPPED
        latent[flipped] = latent[flipped].flip(-1)
        light = self._uniform(size, 0.75, 1.2)[:, None, None, None]
        latent = torch.cat([latent[:, :3] * light, latent[:, 3:]], dim=1)
        across, down = torch.randint(-SHIFT_PX_MAX, SHIFT_PX_MAX + 1, (2,), generator=self.generator).tolist()
        latent = latent.roll((down, across), dims=(-2, -1))
        blurred = functional.avg_pool2d(latent, 3, stride=1, padding=1, count_include_pad=False)
        part = self._uniform(size, 0, 0.8)[:, None, None, None]
        noise = torch.randn(latent.shape, generator=self.generator) * self._uniform(size, 0, 0.1)[:, None, None, None]
        return (latent + part * (blurred - latent) + noise).clamp(-1, 1), labels

    def _uniform(self, size: int, low: float, high: float) -> Tensor:
        return torch.rand(size, generator=self.generator) * (high - low) + low


@torch.no_grad()
def accuracy(judge: nn.Module, batches: JudgeBatches, size: int) -> dict[str, float]:
    """Return how often the right label is first, and among the first five."""
    pictures, labels = batches.draw(size)
    ranks = (judge(pictures).argsort(dim=1, descending=True) == labels[:, None]).int().argmax(dim=1)
    return {f"top{limit}": float((ranks < limit).float().mean()) for limit in (1, 5)}


def with_folded_norms(judge: Judge) -> Judge:
    """Fold each normalisation into its convolution, as the exporter would, so that what is rounded is what is stored."""
    layers: list[nn.Module] = []
    for layer in judge.body:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = layers[-1]
            assert isinstance(convolution, nn.Conv2d)
            layers[-1] = fuse_conv_bn_eval(convolution, layer)
        else:
            layers.append(layer)
    judge.body = nn.Sequential(*layers)
    return judge


def random_pictures(batch: int) -> tuple[Tensor]:
    """Return inputs to compare the export with."""
    return (torch.randn(batch, 4, SIDE, SIDE),)


def train_judge(views: Tensor, arguments: argparse.Namespace, log_file: Path) -> Judge:
    """Train until the schedule ends, and return the judge with its running statistics; exit if asked to stop before."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    device: torch.device = arguments.device
    judge = in_channels_last(Judge(len(views)).to(device))
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.02, fused=True)
    batches, schedule, stop, progress = (
        JudgeBatches(views, arguments.seed),
        schedule_from(arguments),
        StopRequest(),
        Progress(),
    )
    log = RunLog(log_file, progress, schedule)
    while schedule.done(progress.step) < 1 and not stop.asked:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(progress.step)
        drawn, labels = batches.draw(arguments.batch)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            scores = judge(drawn.to(device, memory_format=torch.channels_last))
        loss = functional.cross_entropy(scores.float(), labels.to(device), label_smoothing=0.05)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        log.step(float(loss.detach()), arguments.batch)
    if stop.asked:
        raise SystemExit("stopped before the end: the judge that is there stays")
    return judge.cpu().eval()


def main() -> None:
    """Train, check on views that were not trained on, and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--output", type=Path, default=JUDGE_DIR)
    parser.add_argument("--batch", type=int, default=128)
    add_device_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_schedule_arguments(parser, steps=3000, learning_rate=2e-3)
    arguments = parser.parse_args()
    records = load_records(arguments.cache)
    solid = [row for row, record in enumerate(records) if record.style == SOLID]
    views = torch.from_numpy(load_pictures(arguments.cache)[0][solid])
    judge = train_judge(views[:, :HELD_OUT_VIEW], arguments, arguments.cache / "judge_loss.csv")
    held_out = accuracy(judge, JudgeBatches(views[:, HELD_OUT_VIEW:], arguments.seed + 1), HELD_OUT)
    print(f"held-out views: {held_out}", flush=True)
    spec = GraphSpec("judge", with_folded_norms(judge), ("picture",), ("scores",), random_pictures)
    arguments.output.mkdir(parents=True, exist_ok=True)
    export_graph(spec, arguments.output / JUDGE_FILE)
    about = {"held_out": held_out, "labels": [records[row].label for row in solid]}
    (arguments.output / LABELS_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
