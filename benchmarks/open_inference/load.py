"""Callers of ModelInfer, many at once, each with its next call as soon as it has its answer. Runs in a client's process."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
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
    pid: int
    data: Path | None
    typed: bool = False
    """Send the row as a typed list, not as raw bytes."""


@dataclass(frozen=True)
class Plan:
    """So many callers; each server has its turn of some seconds, in so many rounds, and must answer `expected`."""

    callers: int
    turn_seconds: float
    rounds: int
    expected: bytes


def compare(targets: dict[str, Target], plan: Plan) -> dict[str, float]:
    """For each server the medians of its turns. Raises AssertionError when an answer is wrong.

    Requests a second, latencies in milliseconds, and microseconds of processor time of the server a request.
    """
    return uvloop.run(_compare(targets, plan))


def message(*, typed: bool) -> bytes:
    """The request, encoded once: the caller's own work is not what is measured."""
    request = ModelInferRequest(model_name=NAME)
    tensor = request.inputs.add(name=INPUT, datatype="FP32", shape=[1, FEATURES])
    if typed:
        tensor.contents.fp32_contents.extend(row().ravel().tolist())
    else:
        request.raw_input_contents.append(row().tobytes())
    return request.SerializeToString()


async def _compare(targets: dict[str, Target], plan: Plan) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        calls: dict[str, Any] = {}
        for name, target in targets.items():
            opened = await stack.enter_async_context(_open(target))
            calls[name] = opened.unary_unary(METHOD)
            await _hammer(calls[name], message(typed=target.typed), plan.callers, WARM_SECONDS)
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
        for number in range(plan.rounds):
            # In turn first: whatever else the machine does meets all alike.
            names = list(targets)[number % len(targets) :] + list(targets)[: number % len(targets)]
            for name in names:
                turns[name].append(await _turn(calls[name], targets[name], plan))
    return {
        f"{name}_{field}_{plan.callers}": statistics.median(each[field] for each in all_)
        for name, all_ in turns.items()
        for field in all_[0]
    }


async def _turn(call: Any, target: Target, plan: Plan) -> dict[str, float]:
    request = message(typed=target.typed)
    _check(await call(request), plan.expected)
    busy, began = _busy(target), time.perf_counter()
    taken = await _hammer(call, request, plan.callers, plan.turn_seconds)
    spent, busy = time.perf_counter() - began, _busy(target) - busy
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    cpu_us = busy / len(taken) * 1e6
    return {"per_s": len(taken) / spent, "p50_ms": float(p50), "p99_ms": float(p99), "cpu_us": cpu_us}


def _busy(target: Target) -> float:
    """Seconds of processor time that the server has had."""
    times = psutil.Process(target.pid).cpu_times()
    return float(times.user + times.system)


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
