"""The judge: names pictures, having seen real ones only (``training/aquatint/judge.py`` trains it)."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def shrink(pictures: Bytes, side: int) -> Floats:
    """Average straight RGBA bytes (B, H, W, 4) down to (B, side, side, 4) in [0, 1], colour premultiplied by opacity."""
    straight = pictures.astype(np.float32) / 255
    straight[..., :3] *= straight[..., 3:]
    step = pictures.shape[1] // side
    averaged: Floats = straight.reshape(-1, side, step, side, step, 4).mean(axis=(2, 4))
    return averaged


class Judge:
    """The exported classifier and the labels it knows."""

    def __init__(self, folder: Path = FOLDER, threads: int = 2) -> None:
        """Open ``judge.onnx`` of ``folder``."""
        about = json.loads((folder / "judge_labels.json").read_text(encoding="utf-8"))
        self.labels: list[str] = about["labels"]
        self.held_out: dict[str, float] = about["held_out"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / "judge.onnx", options, providers=["CPUExecutionProvider"])
        self.side = int(self.session.get_inputs()[0].shape[2])

    def ranks(self, pictures: Bytes, rows: list[int]) -> NDArray[np.int64]:
        """Return how many labels the judge finds likelier than ``rows``, the right ones, for each picture."""
        premultiplied = shrink(pictures, self.side)
        alpha = premultiplied[..., 3:]
        # The latent's encoding: alpha * (2 rgb - 1), 2 alpha - 1.
        encoded = np.concatenate([2 * premultiplied[..., :3] - alpha, 2 * alpha - 1], axis=-1).transpose(0, 3, 1, 2)
        scores = self.session.run(None, {"picture": np.ascontiguousarray(encoded)})[0]
        own = scores[np.arange(len(rows)), rows]
        better: NDArray[np.int64] = (scores > own[:, None]).sum(axis=1)
        return better
