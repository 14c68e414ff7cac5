"""What nobody sends by accident, over the wire: each is refused with its reason, and the server goes on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from prometheus_client import REGISTRY

from mezzotint.api.open_inference import model_repository_pb2, open_inference_pb2
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.errors import FieldInvalid, LimitReached, MezzotintError, ModelNotFound
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import floats, open_inference, request, same, times, vast, write_model

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

MIB, GUARD_SECONDS = 1024 * 1024, 30
LONG = "a\0€" * 350_000


@pytest.fixture
async def stub(
    settings: InferenceSettings, authority: Authority, tmp_path: Path
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over a model of numbers, one of texts, and one whose answers are large."""
    folder = tmp_path / "tensors"
    write_model(folder / "times", times(2))
    write_model(folder / "texts", same("BYTES"))
    write_model(folder / "vast", vast())
    async with open_inference(settings, authority, folder) as opened:
        yield opened
        await nothing_is_held(opened)


async def nothing_is_held(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Call the server until all that requests held is given back."""
    async with asyncio.timeout(GUARD_SECONDS):
        while bytes_held():
            await stub.ServerLive(open_inference_pb2.ServerLiveRequest())


def bytes_held() -> float:
    return REGISTRY.get_sample_value("mezzotint_inference_tensor_bytes") or 0.0


async def answers(stub: GRPCInferenceServiceAsyncStub) -> bool:
    """Whether the server goes on."""
    answer = await calls.call(stub.ModelInfer, request("times", floats([1.0])), timeout=20)
    return answer.raw_output_contents[0] == floats([2.0]).tobytes()


def texts(raw: bytes, *shape: int) -> ModelInferRequest:
    """A request of texts with a shape that may lie."""
    made = ModelInferRequest(model_name="texts", raw_input_contents=[raw])
    made.inputs.add(name="x", datatype="BYTES", shape=shape)
    return made


def given(change: Callable[[ModelInferRequest], object], asked: ModelInferRequest | None = None) -> ModelInferRequest:
    made = asked or request("times", floats([1.0]))
    change(made)
    return made


def shape(*sizes: int) -> ModelInferRequest:
    return given(lambda asked: asked.inputs[0].shape.__setitem__(slice(None), sizes))


def parameters(asked: ModelInferRequest, count: int) -> None:
    for number in range(count):
        asked.parameters[str(number)].bool_param = True


def named(name: str, field: str = "name") -> ModelInferRequest:
    return given(lambda asked: setattr(asked.inputs[0], field, name))


def parameter(name: str, choice: str, value: object) -> ModelInferRequest:
    return given(lambda asked: setattr(asked.parameters[name], choice, value))


HOSTILE: dict[str, tuple[Callable[[], ModelInferRequest], str]] = {
    "a length that lies": (lambda: texts(b"\xff\xff\xff\xff" + bytes(8), 1, 1), "is said to have 4294967295 bytes; 8 are left"),
    "texts without end": (lambda: texts(bytes(8), 2**62, 2), r"raw_input_contents\[0\]: \d+ elements are due; the bytes end"),
    "texts beyond the shape": (lambda: texts(bytes(4 * 4_000_000), 1, 1), "15999996 bytes are left after the 1 elements"),
    "texts and no shape": (lambda: texts(bytes(8)), r"the shape \[-1, -1\], -1 for any size; \[\] came"),
    "negative dimensions": (lambda: shape(-(2**63), 2**63 - 1), "none of them negative"),
    "negatives that cancel out": (lambda: shape(-1, -1), "none of them negative"),
    "a product beyond 64 bits": (lambda: shape(2**62, 4), r"takes \d+ bytes; 4 came"),
    "a product that wraps to the right one": (lambda: shape(2**32, 2**32 + 1), r"takes \d+ bytes; 4 came"),
    "nothing, enormous": (lambda: given(lambda a: a.raw_input_contents.__setitem__(0, b""), shape(0, 2**63 - 1)), "too large"),
    "a shape of a million": (lambda: shape(*[1] * 1_000_000), r"1, 1\] and 999984 more came"),
    "an unknown output": (
        lambda: given(lambda asked: asked.outputs.add(name=LONG)),
        r"\(1,050,000 characters\) is no output",
    ),
    "an output too many": (lambda: given(lambda asked: [asked.outputs.add(name="y") for _ in range(9)]), "'y' comes twice"),
    "an input too many": (lambda: given(lambda asked: asked.inputs.add(name=LONG)), "one for each of the 2 inputs is due"),
    "an unknown input": (lambda: named(LONG), r"characters\) is no input"),
    "a type without end": (lambda: named(LONG, "datatype"), r"x is FP32; .*characters\) came"),
    "many inputs": (
        lambda: given(lambda asked: [asked.inputs.add() for _ in range(100_000)]),
        "one for each of the 100001 inputs is due; 1 came",
    ),
    "a million contents": (
        lambda: given(lambda asked: asked.raw_input_contents.extend([b""] * 1_000_000)),
        "one for each of the 1 inputs is due; 1000001 came",
    ),
    "a long id": (lambda: given(lambda asked: setattr(asked, "id", LONG)), "id: it has at most 4096 characters; 1050000 came"),
    "many parameters": (lambda: given(lambda asked: parameters(asked, 100_000)), "parameters: at most 64 with .*; 100000 came"),
    "a long parameter": (
        lambda: given(lambda asked: setattr(asked.inputs[0].parameters["p"], "string_param", LONG)),
        r"inputs\[0\].parameters: at most 64 with names and texts of at most 4096",
    ),
    "a long name of a parameter": (lambda: parameter(LONG, "bool_param", True), "texts of at most 4096"),
    "a priority without a value": (lambda: given(lambda asked: asked.parameters["priority"].Clear()), "write a whole number"),
    "half a priority": (lambda: parameter("priority", "double_param", 0.5), "write a whole number"),
    "a priority that is true": (lambda: parameter("priority", "bool_param", True), "write a whole number"),
    "an enormous priority": (lambda: parameter("priority", "uint64_param", 2**64 - 1), "1 to 1; 18446744073709551615 came"),
    "a timeout before now": (lambda: parameter("timeout", "int64_param", -1), "write a whole number"),
}


async def test_it_is_refused_with_its_reason(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that each is told alone and in a stream, briefly enough to arrive, and that the next request is answered."""
    good = request("times", floats([1.0]))
    for what, (make, problem) in HOSTILE.items():
        asked = make()
        with pytest.raises(FieldInvalid) as refused:
            await calls.call(stub.ModelInfer, asked, timeout=30)
        assert re.search(problem, refused.value.message), (what, refused.value.message)
        streamed = [each async for each in stub.ModelStreamInfer(iter([asked, good]))]
        assert [re.search(problem, each.error_message) is not None for each in streamed] == [True, False], what
        assert await answers(stub), what


async def test_an_enormous_timeout_is_a_timeout(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a number beyond all clocks is taken as what it says."""
    asked = request("times", floats([1.0]))
    asked.parameters["timeout"].uint64_param = 2**64 - 1
    assert (await calls.call(stub.ModelInfer, asked, timeout=20)).model_name == "times"


@pytest.mark.parametrize("version", ["", LONG])
async def test_names_without_end_are_not_found(stub: GRPCInferenceServiceAsyncStub, version: str) -> None:
    """Ensures that a name of a megabyte is refused with an answer that arrives, wherever a name is asked for."""
    name = "times" if version else LONG
    asked = request(name, floats([1.0]), model_version=version)
    with pytest.raises(ModelNotFound, match=r"characters\)"):
        await calls.call(stub.ModelInfer, asked, timeout=20)
    with pytest.raises(ModelNotFound, match=r"characters\)"):
        await calls.call(stub.ModelMetadata, open_inference_pb2.ModelMetadataRequest(name=name, version=version), timeout=20)
    with pytest.raises(MezzotintError, match=r"characters\)"):
        await calls.call(
            stub.RepositoryModelLoad,
            model_repository_pb2.RepositoryModelLoadRequest(model_name=LONG, repository_name=version),
            timeout=20,
        )
    (streamed,) = [each async for each in stub.ModelStreamInfer(iter([asked]))]
    assert "characters)" in streamed.error_message
    assert await answers(stub)


async def test_names_that_callers_make_up_are_no_labels(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that metrics do not grow with what callers write."""

    def series() -> int:
        return sum(len(metric.samples) for metric in REGISTRY.collect() if metric.name.startswith("mezzotint_inference_tensor"))

    async def ask(number: int) -> None:
        for asked in (
            request(f"unknown{number}", floats([1.0])),
            request("times", floats([1.0]), model_version=str(number + 7)),
        ):
            with pytest.raises(ModelNotFound):
                await calls.call(stub.ModelInfer, asked, timeout=20)

    await ask(0)
    before, count = series(), ends("", "not_found")
    for number in range(1, 20):
        await ask(number)
    assert series() == before
    assert ends("", "not_found") == count + 38


def ends(model: str, end: str) -> float:
    return REGISTRY.get_sample_value("mezzotint_inference_tensor_requests_total", {"model": model, "end": end}) or 0.0


async def test_an_answer_that_is_too_large_leaves_its_stream_open(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a small request for a vast answer is told the bound, and that the stream's other answers come."""
    asked = request("vast", np.array([8 * MIB], np.int64), "INT64", tensor="size", id="vast")
    with pytest.raises(LimitReached, match=r"the answer has 32\.0 MiB; messages have 20\.0 MiB at most"):
        await calls.call(stub.ModelInfer, asked, timeout=30)
    small = request("times", floats([1.0]))
    streamed = [each async for each in stub.ModelStreamInfer(iter([small, asked, small]))]
    assert ["the answer has" in each.error_message for each in streamed] == [False, True, False]
    assert streamed[1].infer_response.id == "vast"
    # Its elements alone would fit, with their names they do not.
    over = request("vast", np.array([5 * MIB - 4], np.int64), "INT64", tensor="size")
    with pytest.raises(LimitReached, match="the answer has"):
        await calls.call(stub.ModelInfer, over, timeout=30)
    just = request("vast", np.array([5 * MIB - 64], np.int64), "INT64", tensor="size")
    assert len((await calls.call(stub.ModelInfer, just, timeout=30)).raw_output_contents[0]) == 20 * MIB - 256


async def test_tiny_requests_without_end(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a stream of very many requests is answered one by one, while others get their answers between."""
    asked = request("times", floats([1.0]))

    def many() -> Iterator[ModelInferRequest]:
        for _ in range(5_000):
            yield asked

    count, longest = 0, 0.0
    async for answer in stub.ModelStreamInfer(many()):
        count += not answer.error_message
        if count % 1000 == 0:
            began = time.monotonic()
            assert await answers(stub)
            longest = max(longest, time.monotonic() - began)
    assert count == 5_000
    assert longest < 5


async def test_a_stream_that_never_reads_hurts_nobody(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a client that only writes is read no further at some point, others are answered, and all comes back."""
    asked, written = request("times", np.zeros((1, MIB), np.float32)), 0
    stream = stub.ModelStreamInfer()

    async def write() -> None:
        nonlocal written
        while True:
            await stream.write(asked)
            written += 1

    writer = asyncio.create_task(write())
    quiet, seen = 0, 0
    while quiet < 50:
        assert await answers(stub)
        quiet = quiet + 1 if seen == written > 0 else 0
        seen = written
    writer.cancel()
    await asyncio.wait([writer])
    # 32 MiB of requests and answers of 4 MiB each, and what lies in the buffers between.
    assert written < 30
    assert 4 * MIB <= bytes_held() <= 100 * MIB
    stream.cancel()
    await nothing_is_held(stub)
