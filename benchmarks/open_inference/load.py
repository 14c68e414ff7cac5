"""Callers of ModelInfer, many at once, each with its next call as soon as it has its answer. Runs in a client's process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop

from benchmarks.open_inference.graph import FEATURES, INPUT, NAME, row
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse
from mezzotint.runtime import channel
from mezzotint.runtime.tls import load_identity

METHOD = "/inference.GRPCInferenceService/ModelInfer"
WARM_SECONDS = 0.5
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Target:
    """A server; `data` is the folder with the certificates for calling it, None where it takes calls without TLS."""

    address: str
    data: Path | None
    typed: bool = False
    """Send the row as a typed list, not as raw bytes."""


def rate(target: Target, callers: int, seconds: float, expected: bytes) -> dict[str, float]:
    """Requests a second and latencies in milliseconds. Raises AssertionError when an answer is wrong."""
    return uvloop.run(_rate(target, callers, seconds, expected))


def message(*, typed: bool) -> bytes:
    """The request, encoded once: the caller's own work is not what is measured."""
    request = ModelInferRequest(model_name=NAME)
    tensor = request.inputs.add(name=INPUT, datatype="FP32", shape=[1, FEATURES])
    if typed:
        tensor.contents.fp32_contents.extend(row().ravel().tolist())
    else:
        request.raw_input_contents.append(row().tobytes())
    return request.SerializeToString()


async def _rate(target: Target, callers: int, seconds: float, expected: bytes) -> dict[str, float]:
    request = message(typed=target.typed)
    async with _open(target) as opened:
        call: Any = opened.unary_unary(METHOD)
        _check(await call(request), expected)
        await _hammer(call, request, callers, min(WARM_SECONDS, seconds))
        began = time.perf_counter()
        taken = await _hammer(call, request, callers, seconds)
        spent = time.perf_counter() - began
        _check(await call(request), expected)
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    return {"per_s": len(taken) / spent, "p50_ms": float(p50), "p99_ms": float(p99)}


async def _hammer(call: Any, request: bytes, callers: int, seconds: float) -> list[float]:
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await call(request)
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return taken


def _open(target: Target) -> grpc.aio.Channel:
    if target.data is None:
        return grpc.aio.insecure_channel(target.address)
    return channel.connect(target.address, "inference", load_identity(target.data, "gateway"))


def _check(answer: bytes, expected: bytes) -> None:
    """Raise AssertionError unless an answer holds the expected numbers."""
    response = ModelInferResponse.FromString(answer)
    if response.raw_output_contents:
        found = np.frombuffer(response.raw_output_contents[0], np.float32)
    else:
        found = np.array(response.outputs[0].contents.fp32_contents, np.float32)
    wanted = np.frombuffer(expected, np.float32)
    assert found.shape == wanted.shape, f"{found.shape} numbers came, {wanted.shape} were due"
    assert np.allclose(found, wanted, atol=TOLERANCE), "the answer is not what ONNX Runtime gives"
