"""Where a network is trained: on a GPU if there is one, else on the processor."""

import argparse

import torch


def best_device() -> torch.device:
    """Return the first CUDA device, or the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, and ``--threads`` for what stays on the processor."""
    parser.add_argument("--device", type=torch.device, default=best_device(), help="default: a GPU if there is one")
    parser.add_argument("--threads", type=int, default=2)
