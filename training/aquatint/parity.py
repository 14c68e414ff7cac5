"""How far each exported graph is from its torch module, on random inputs."""

from pathlib import Path

import torch

from training.aquatint.base_model import BaseModel
from training.aquatint.checkpoint import load_average
from training.aquatint.decoder import DECODER_CHECKPOINT_FILE
from training.aquatint.export import GRAPH_FILE, graph_specs
from training.aquatint.graphs import largest_difference, round_weights
from training.aquatint.train import CHECKPOINT_FILE
from training.aquatint.upscaler import Upscaler


def parity(model_dir: Path, run_dir: Path, seed: int = 0) -> dict[str, float]:
    """Return the largest absolute difference of each graph from the run's averaged weights, rounded as exported."""
    torch.manual_seed(seed)
    base, upscaler = BaseModel(), Upscaler()
    load_average(run_dir / CHECKPOINT_FILE, base)
    load_average(run_dir / DECODER_CHECKPOINT_FILE, upscaler)
    differences = {}
    for spec in graph_specs(base, upscaler):
        round_weights(spec.module)
        differences[f"parity_{spec.name}"] = largest_difference(spec, model_dir / spec.name / GRAPH_FILE)
    return differences
