"""What ONNX Runtime does alone, with the options our server gives it: calls and rows a second without any serving."""

import time
from pathlib import Path

import numpy as np

from benchmarks.open_inference.graph import INPUT, row
from mezzotint.inference.graphs.graph import options
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime

BATCH = 64


def measure(graph: Path, seconds: float) -> dict[str, float]:
    """Calls of one row a second, and rows a second in calls of 64."""
    session = onnxruntime.InferenceSession(str(graph), options(1), providers=["CPUExecutionProvider"])
    one = row()
    many = np.repeat(one, BATCH, axis=0)
    return {
        "bare_calls_per_s": _rate(lambda: session.run(None, {INPUT: one}), seconds),
        "bare_rows_per_s_batch_64": BATCH * _rate(lambda: session.run(None, {INPUT: many}), seconds),
    }


def expected(graph: Path) -> bytes:
    """What every server must answer to `row`."""
    session = onnxruntime.InferenceSession(str(graph), options(1), providers=["CPUExecutionProvider"])
    answer: bytes = session.run(None, {INPUT: row()})[0].tobytes()
    return answer


def _rate(call: "object", seconds: float) -> float:
    assert callable(call)
    calls, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        call()
        calls += 1
    return calls / (now - began)
