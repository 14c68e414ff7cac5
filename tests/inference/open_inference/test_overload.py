"""What requests hold together is bounded, over the wire, with calls that begin when the test lets them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from prometheus_client import REGISTRY

from mezzotint.api.open_inference import open_inference_pb2
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.types import Array
from mezzotint.runtime import calls
from mezzotint.runtime.errors import ServerOverloaded
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import floats, open_inference, request, times, write_model

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

GUARD_SECONDS = 30
NAME = "mezzotint_inference_tensor"


@dataclass
class Gate:
    """Calls wait until it is opened."""

    open: threading.Event = field(default_factory=threading.Event)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    async def wait(self) -> None:
        """Until one more call began."""
        assert await asyncio.to_thread(self.began.acquire, True, GUARD_SECONDS)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The gate before every call of a tensor model."""
    made, run = Gate(), TensorModel.__call__

    def gated(self: TensorModel, outputs: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        made.began.release()
        assert made.open.wait(GUARD_SECONDS)
        return run(self, outputs, inputs)

    monkeypatch.setattr(TensorModel, "__call__", gated)
    return made


@pytest.fixture
async def stub(
    settings: InferenceSettings, authority: Authority, tmp_path: Path, gate: Gate
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over two models, where requests may hold 4 MiB."""
    for name in ("a", "b"):
        write_model(tmp_path / "tensors" / name, times(2))
    chosen = settings.model_copy(update={"tensor_mib_max": 4})
    async with open_inference(chosen, authority, tmp_path / "tensors") as opened:
        yield opened
        gate.open.set()


def large(model: str, factor: float) -> ModelInferRequest:
    """A request of half a MiB, which counts as one and a half."""
    return request(model, np.full((1, 128 * 1024), factor, np.float32), id=str(factor))


async def infer(stub: GRPCInferenceServiceAsyncStub, asked: ModelInferRequest) -> ModelInferResponse:
    return await calls.call(stub.ModelInfer, asked, timeout=GUARD_SECONDS)


async def next_of(stream: grpc.aio.StreamStreamCall[ModelInferRequest, ModelStreamInferResponse]) -> ModelStreamInferResponse:
    answer = await asyncio.wait_for(stream.read(), GUARD_SECONDS)
    assert isinstance(answer, ModelStreamInferResponse)
    return answer


def first_of(answer: ModelInferResponse) -> float:
    return float(np.frombuffer(answer.raw_output_contents[0][:4], np.float32).item())


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{NAME}_{name}", labels) or 0.0


async def until(stub: GRPCInferenceServiceAsyncStub, name: str, wanted: float, **labels: str) -> None:
    """Call the server until a metric says what is wanted."""
    async with asyncio.timeout(GUARD_SECONDS):
        while figure(name, **labels) != wanted:
            await stub.ServerLive(open_inference_pb2.ServerLiveRequest())


async def test_bytes_of_all_models_are_bounded_together(stub: GRPCInferenceServiceAsyncStub, gate: Gate) -> None:
    """Ensures that a request over the bound is refused with the figures, alone and in a stream, and others lose nothing."""
    refused_before = figure("requests_total", model="b", end="overloaded")
    first = asyncio.ensure_future(infer(stub, large("a", 1)))
    await gate.wait()
    second = asyncio.ensure_future(infer(stub, large("a", 2)))
    await until(stub, "requests_waiting", 1, model="a")
    assert figure("bytes") == 3 * 1024 * 1024
    problem = r"hold 3\.0 MiB of memory, and this one takes 1\.5 MiB; 4 MiB may be held \(tensor_mib_max\): try again"
    with pytest.raises(ServerOverloaded, match=problem) as full:
        await infer(stub, large("b", 3))
    assert full.value.retry_after == 1.0
    small = asyncio.ensure_future(infer(stub, request("b", floats([5.0]))))
    await gate.wait()
    stream = stub.ModelStreamInfer()
    for factor in (7, 8):
        await stream.write(large("b", factor))
    for factor in (7, 8):
        answer = await next_of(stream)
        assert "try again when some are answered" in answer.error_message
        assert answer.infer_response.id == str(factor)
    assert figure("requests_total", model="b", end="overloaded") == refused_before + 3
    gate.open.set()
    assert [first_of(each) for each in await asyncio.gather(first, second, small)] == [2.0, 4.0, 10.0]
    await stream.write(large("b", 9))
    assert first_of((await next_of(stream)).infer_response) == 18.0
    await stream.done_writing()
    await until(stub, "bytes", 0)


async def test_what_goes_away_gives_its_bytes_back(stub: GRPCInferenceServiceAsyncStub, gate: Gate) -> None:
    """Ensures that requests that are cancelled while they wait, in a stream too, make room for others."""
    first = asyncio.ensure_future(infer(stub, large("a", 1)))
    await gate.wait()
    going, stream = stub.ModelInfer(large("a", 2)), stub.ModelStreamInfer()
    await until(stub, "requests_waiting", 1, model="a")
    with pytest.raises(ServerOverloaded):
        await infer(stub, large("b", 3))
    cancelled = figure("requests_total", model="a", end="cancelled")
    going.cancel()
    await until(stub, "requests_waiting", 0, model="a")
    await stream.write(large("a", 4))
    await until(stub, "requests_waiting", 1, model="a")
    stream.cancel()
    await until(stub, "requests_waiting", 0, model="a")
    assert figure("requests_total", model="a", end="cancelled") == cancelled + 2
    assert figure("bytes") == 1.5 * 1024 * 1024
    last = asyncio.ensure_future(infer(stub, large("b", 5)))
    await gate.wait()
    gate.open.set()
    assert [first_of(each) for each in await asyncio.gather(first, last)] == [2.0, 10.0]
    await until(stub, "bytes", 0)


async def test_metrics_tell_calls_rows_and_waits(
    settings: InferenceSettings, authority: Authority, tmp_path: Path, gate: Gate
) -> None:
    """Ensures that the figures of a model are those of what happened."""
    write_model(tmp_path / "tensors" / "counted", times(2), settings="max_batch_size: 8\n")
    async with open_inference(settings, authority, tmp_path / "tensors") as stub:
        first = asyncio.ensure_future(infer(stub, request("counted", floats([1.0]))))
        await gate.wait()
        rest = [asyncio.ensure_future(infer(stub, request("counted", floats([1.0], [2.0])))) for _ in range(3)]
        await until(stub, "requests_waiting", 3, model="counted")
        gate.open.set()
        await asyncio.gather(first, *rest)
        with pytest.raises(Exception, match="FP64"):
            await infer(stub, request("counted", floats([1.0]), "FP64"))
    assert figure("requests_total", model="counted", end="answered") == 4
    assert figure("requests_total", model="counted", end="invalid") == 1
    assert figure("call_rows_count", model="counted") == figure("call_seconds_count", model="counted") == 2
    assert figure("call_rows_sum", model="counted") == 7
    assert figure("queue_seconds_count", model="counted") == 4
    assert figure("queue_seconds_sum", model="counted") > 0
    assert figure("requests_waiting", model="counted") == 0
