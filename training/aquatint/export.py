"""Export the trained checkpoints as the bundle that the inference engine loads.

``python -m training.aquatint.export [--run DIR] [--output DIR]``
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from training.aquatint.base_model import LATENT_SHAPE, BaseModel
from training.aquatint.bundle import write_configuration
from training.aquatint.checkpoint import load_average
from training.aquatint.decoder import DECODER_CHECKPOINT_FILE
from training.aquatint.flow import TIMESTEPS
from training.aquatint.graphs import GraphSpec, export_graph
from training.aquatint.locations import MODEL_DIR, default_cache_dir
from training.aquatint.tokenizer import MAX_TOKENS, PAD_ID, START_ID, VOCABULARY_SIZE, tokenizer_file
from training.aquatint.train import CHECKPOINT_FILE
from training.aquatint.upscaler import Decoder, Upscaler

GRAPH_FILE = "model.onnx"
TOTAL_MB_MAX = 40.0


class BundleTooLargeError(RuntimeError):
    """The graphs together are larger than the repository may carry."""


def random_ids(batch: int) -> tuple[Tensor]:
    """Return ids (batch, 24) of random lengths, the first row the empty prompt."""
    ids = torch.randint(2, VOCABULARY_SIZE, (batch, MAX_TOKENS))
    lengths = torch.randint(1, MAX_TOKENS + 1, (batch, 1))
    lengths[0] = 1
    ids[:, 0] = START_ID
    return (ids.masked_fill(torch.arange(MAX_TOKENS) >= lengths, PAD_ID),)


def graph_specs(base: BaseModel, upscaler: Upscaler) -> list[GraphSpec]:
    """List the three graphs with the names that the engine knows them by."""
    words = base.unet.shape.words

    def unet_inputs(batch: int) -> tuple[Tensor, ...]:
        sample, timestep = torch.randn(batch, *LATENT_SHAPE), torch.rand(batch) * TIMESTEPS
        return sample, timestep, torch.randn(batch, MAX_TOKENS, words), torch.randn(batch, words)

    def decoder_inputs(batch: int) -> tuple[Tensor, ...]:
        return (torch.rand(batch, *LATENT_SHAPE) * 2 - 1,)

    encoder_outputs = ("last_hidden_state", "pooler_output")
    unet_names = ("sample", "timestep", "encoder_hidden_states", "text_embeds")
    return [
        GraphSpec("text_encoder", base.text_encoder, ("input_ids",), encoder_outputs, random_ids),
        GraphSpec("unet", base.unet, unet_names, ("out_sample",), unet_inputs),
        GraphSpec("vae_decoder", Decoder(upscaler), ("latent_sample",), ("sample",), decoder_inputs),
    ]


def export_bundle(base: BaseModel, upscaler: Upscaler, tokenizer: Path, output: Path) -> None:
    """Write graphs, tokenizer and configuration to ``output``, all or none: it fails on a difference or on the size."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
        made = Path(folder)
        write_configuration(made, base)
        shutil.copyfile(tokenizer, made / "tokenizer" / "tokenizer.json")
        for spec in graph_specs(base, upscaler):
            export_graph(spec, made / spec.name / GRAPH_FILE)
        total_mb = sum(path.stat().st_size for path in made.glob(f"*/{GRAPH_FILE}")) / 1e6
        print(f"graphs together: {total_mb:.2f} MB", flush=True)
        if total_mb > TOTAL_MB_MAX:
            raise BundleTooLargeError(f"{total_mb:.1f} MB of graphs, at most {TOTAL_MB_MAX:.0f} MB")
        shutil.copytree(made, output, dirs_exist_ok=True)


def main() -> None:
    """Export the averaged weights of the run's checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    parser.add_argument("--run", type=Path, help="folder of the run (default: CACHE/run)")
    parser.add_argument("--output", type=Path, default=MODEL_DIR)
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs that are compared")
    arguments = parser.parse_args()
    run_dir = arguments.run or arguments.cache / "run"
    torch.manual_seed(arguments.seed)
    base, upscaler = BaseModel(), Upscaler()
    load_average(run_dir / CHECKPOINT_FILE, base)
    load_average(run_dir / DECODER_CHECKPOINT_FILE, upscaler)
    export_bundle(base, upscaler, tokenizer_file(arguments.cache, run_dir), arguments.output)


if __name__ == "__main__":
    main()
