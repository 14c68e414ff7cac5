"""Save and restore training: weights, their moving average, the optimiser, and how far it got."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Averaged = TypeVar("Averaged", bound=nn.Module)


@dataclass
class Progress:
    """How far a run got; ``seconds`` counts only time spent training."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0


class MovingAverage(Generic[Averaged]):
    """An exponential moving average of a module's parameters, quick at first (Karras et al. 2024)."""

    def __init__(self, module: Averaged, decay: float) -> None:
        self.decay = decay
        self.module: Averaged = copy.deepcopy(module)
        self.module.eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards ``module`` after optimiser step number ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), [p.detach() for p in module.parameters()], 1 - decay)


def in_channels_last(module: Averaged) -> Averaged:
    """Lay out the convolutions' weights as the CPU's bfloat16 kernels like them; return the module."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def save_checkpoint(
    path: Path,
    module: Averaged,
    average: MovingAverage[Averaged],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write atomically: a reader sees the old file or the new one."""
    state = {
        "module": module.state_dict(),
        "average": average.module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_checkpoint(
    path: Path, module: Averaged, average: MovingAverage[Averaged], optimizer: torch.optim.Optimizer
) -> Progress:
    """Restore in place; a missing file means a fresh start."""
    if not path.exists():
        return Progress()
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    average.module.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def load_average(path: Path, module: nn.Module) -> Progress:
    """Load only the averaged weights, for drawing and export."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["average"])
    module.eval().requires_grad_(False)
    return Progress(**state["progress"])
