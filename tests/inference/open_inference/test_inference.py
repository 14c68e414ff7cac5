"""The Open Inference Protocol over the wire: what is told of models, inference with every type, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from mezzotint.api.open_inference import model_config_pb2, open_inference_pb2, unserved_pb2
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors.types import BY_NAME, Array
from mezzotint.runtime import calls
from mezzotint.runtime.errors import CallerNotAllowed, FieldInvalid, LimitReached, MethodUnknown, ModelNotFound
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import floats, open_inference, request, write_repository

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

Metadata = open_inference_pb2.ModelMetadataRequest
NUMBERS = {
    "BOOL": [[True, False, True]],
    "FP16": [[np.inf, -0.0, 1.5]],
    "FP32": [[np.nan, -np.inf, 1e-42]],
    "FP64": [[np.nan, np.inf, 5e-324]],
    "BYTES": [["", "é\0ü", "texts"]],
}


@pytest.fixture(scope="session")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that no test changes."""
    return write_repository(tmp_path_factory.mktemp("tensors"))


@pytest.fixture
async def stub(
    settings: InferenceSettings, authority: Authority, tensors: Path
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over that repository, called as the operator."""
    async with open_inference(settings, authority, tensors) as opened:
        yield opened


async def infer(stub: GRPCInferenceServiceAsyncStub, asked: ModelInferRequest) -> ModelInferResponse:
    return await calls.call(stub.ModelInfer, asked, timeout=20)


def array_of(response: ModelInferResponse, number: int = 0) -> Array:
    output = response.outputs[number]
    return tensor_contents.from_raw("f", BY_NAME[output.datatype], output.shape, response.raw_output_contents[number])


def edges(name: str) -> Array:
    """Numbers of a type at its edges."""
    dtype = BY_NAME[name].dtype
    if name in NUMBERS:
        return np.array(NUMBERS[name], dtype)
    return np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max, 1]], dtype)


async def test_the_server_tells_who_it_is(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a client learns that the server lives, is ready, and what it can."""
    assert (await stub.ServerLive(open_inference_pb2.ServerLiveRequest())).live
    assert (await stub.ServerReady(open_inference_pb2.ServerReadyRequest())).ready
    told = await stub.ServerMetadata(open_inference_pb2.ServerMetadataRequest())
    assert told.name == "mezzotint"
    assert "statistics" in told.extensions


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("times", "", True), ("times", "1", True), ("times", "3", False), ("times", "01", False), ("other", "", False)],
)
async def test_a_model_is_ready_once_loaded(stub: GRPCInferenceServiceAsyncStub, name: str, version: str, ready: bool) -> None:
    """Ensures that readiness is told for versions too, and that what is not there is not ready."""
    asked = open_inference_pb2.ModelReadyRequest(name=name, version=version)
    assert (await stub.ModelReady(asked)).ready is ready


async def test_metadata_and_configuration(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that both describe the graph, with and without the rows that are batched."""
    told = await stub.ModelMetadata(Metadata(name="times"))
    assert (list(told.versions), told.platform) == (["1", "2"], "onnxruntime_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [("x", "FP32", [-1, -1])]
    plain = (await stub.ModelConfig(model_config_pb2.ModelConfigRequest(name="times"))).config
    assert (plain.max_batch_size, list(plain.input[0].dims), plain.backend) == (0, [-1, -1], "onnxruntime")
    assert plain.WhichOneof("scheduling_choice") is None
    batched = (await stub.ModelConfig(model_config_pb2.ModelConfigRequest(name="lookup"))).config
    assert (batched.max_batch_size, list(batched.input[0].dims)) == (8, [])
    assert [(each.name, list(each.dims)) for each in batched.output] == [("row", [2]), ("again", [])]
    assert batched.input[0].data_type == model_config_pb2.TYPE_INT64
    assert batched.dynamic_batching.max_queue_delay_microseconds == 100_000


@pytest.mark.parametrize("name", list(BY_NAME))
async def test_every_type_raw(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    """Ensures that tensors of each type go through a model bit by bit, NaN and infinities too."""
    type_, array = BY_NAME[name], edges(name)
    asked = ModelInferRequest(model_name=f"same_{name.lower()}", id="7")
    asked.inputs.add(name="x", datatype=name, shape=array.shape)
    asked.raw_input_contents.append(tensor_contents.to_raw(type_, array))
    answer = await infer(stub, asked)
    assert (answer.id, answer.model_version, answer.outputs[0].datatype) == ("7", "1", name)
    assert list(answer.raw_output_contents) == list(asked.raw_input_contents)


@pytest.mark.parametrize("name", [name for name, type_ in BY_NAME.items() if type_.contents])
async def test_every_type_typed(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    """Ensures that a request in typed form is answered in typed form."""
    type_, array = BY_NAME[name], edges(name)
    asked = ModelInferRequest(model_name=f"same_{name.lower()}")
    contents = tensor_contents.to_contents(type_, array)
    asked.inputs.add(name="x", datatype=name, shape=array.shape, contents=contents)
    answer = await infer(stub, asked)
    assert not answer.raw_output_contents
    assert answer.outputs[0].contents.SerializeToString() == contents.SerializeToString()


async def test_the_latest_version_answers_unless_another_is_asked_for(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that versions are told apart."""
    latest = await infer(stub, request("times", floats([1.0])))
    first = await infer(stub, request("times", floats([1.0]), model_version="1"))
    assert (latest.model_version, array_of(latest).item()) == ("2", 3.0)
    assert (first.model_version, array_of(first).item()) == ("1", 2.0)


async def test_only_the_outputs_asked_for_come(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that outputs come in the order asked for, and no others."""
    index = np.array([3, 1], np.int64)
    both = request("lookup", index, "INT64", tensor="index")
    both.outputs.add(name="again")
    both.outputs.add(name="row")
    answer = await infer(stub, both)
    assert [each.name for each in answer.outputs] == ["again", "row"]
    assert array_of(answer).tolist() == [3, 1]
    assert array_of(answer, 1).tolist() == [[6.0, 7.0], [2.0, 3.0]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("model", ["times", "shared"])
async def test_empty_tensors(stub: GRPCInferenceServiceAsyncStub, model: str, shape: tuple[int, int]) -> None:
    """Ensures that a tensor without elements is a tensor."""
    answer = await infer(stub, request(model, np.zeros(shape, np.float32)))
    assert list(answer.outputs[0].shape) == list(shape)
    assert answer.raw_output_contents[0] == b""


def shaped(asked: ModelInferRequest, *shape: int) -> None:
    asked.inputs[0].shape[:] = shape


def extra(asked: ModelInferRequest, name: str) -> None:
    asked.inputs.add(name=name, datatype="FP32", shape=asked.inputs[0].shape)
    asked.raw_input_contents.append(asked.raw_input_contents[0])


MISTAKES: dict[str, tuple[Callable[[ModelInferRequest], object], str]] = {
    "type": (lambda asked: setattr(asked.inputs[0], "datatype", "FP64"), r"inputs\[0\].datatype: x is FP32; 'FP64' came"),
    "case": (lambda asked: setattr(asked.inputs[0], "datatype", "fp32"), r"inputs\[0\].datatype: x is FP32; 'fp32' came"),
    "dimensions": (lambda asked: shaped(asked, 2), r"x has the shape \[-1, -1\], -1 for any size; \[2\] came"),
    "length": (lambda asked: shaped(asked, 1, 3), r"raw_input_contents\[0\]: FP32 of shape \[1, 3\] takes 12 bytes; 8 came"),
    "enormous": (lambda asked: shaped(asked, 2**62, 2**62), r"FP32 of shape .* takes \d+ bytes; 8 came"),
    "negative": (lambda asked: shaped(asked, -1, 2), "none of them negative"),
    "more raw": (lambda asked: asked.raw_input_contents.append(b""), "one for each of the 1 inputs is due; 2 came"),
    "both forms": (
        lambda asked: asked.inputs[0].contents.fp32_contents.extend([1, 2]),
        r"inputs\[0\].contents: raw_input_contents came as well; send one of them",
    ),
    "missing": (lambda asked: (asked.inputs.pop(), asked.raw_input_contents.pop()), "inputs: missing: x"),
    "extra": (lambda asked: extra(asked, "z"), r"inputs\[1\]: 'z' is no input of the model; it has x"),
    "twice": (lambda asked: extra(asked, "x"), r"inputs\[1\]: 'x' comes twice; it has x"),
    "output": (lambda asked: asked.outputs.add(name="z"), r"outputs\[0\]: 'z' is no output of the model; it has y"),
    "shared memory": (
        lambda asked: setattr(asked.inputs[0].parameters["shared_memory_region"], "string_param", "r"),
        r"inputs\[0\].parameters: shared_memory_region is not served here",
    ),
    "classification": (
        lambda asked: setattr(asked.outputs.add(name="y").parameters["classification"], "int64_param", 1),
        r"outputs\[0\].parameters: classification is not served here",
    ),
    "priority": (
        lambda asked: setattr(asked.parameters["priority"], "int64_param", 2),
        "parameters.priority: this model has the levels 1 to 1; 2 came",
    ),
    "timeout": (
        lambda asked: setattr(asked.parameters["timeout"], "string_param", "soon"),
        "parameters.timeout: write a whole number",
    ),
}


@pytest.mark.parametrize("what", list(MISTAKES))
async def test_mistakes_are_told_and_the_server_goes_on(stub: GRPCInferenceServiceAsyncStub, what: str) -> None:
    """Ensures that each mistake is refused with the field and the reason, and hurts nothing else."""
    asked = request("times", floats([1.0, 2.0]))
    mistake, problem = MISTAKES[what]
    mistake(asked)
    with pytest.raises(FieldInvalid, match=problem):
        await infer(stub, asked)
    assert array_of(await infer(stub, request("times", floats([1.0])))).item() == 3.0


async def test_more_rows_than_a_call_takes_are_refused(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a huge batch is told the limit."""
    with pytest.raises(FieldInvalid, match="9 rows came; this model takes 8 at most in one request"):
        await infer(stub, request("shared", np.zeros((9, 1), np.float32)))


@pytest.mark.parametrize(
    ("model", "version", "problem"),
    [
        ("other", "", "no tensor model 'other' is loaded; loaded: lookup, "),
        ("../times", "", "no tensor model"),
        ("times", "3", "version '3' of 'times' is not loaded; loaded: 1, 2"),
        ("times", "latest", "version 'latest' of 'times' is not loaded; loaded: 1, 2"),
    ],
)
async def test_what_is_not_there_is_not_found(
    stub: GRPCInferenceServiceAsyncStub, model: str, version: str, problem: str
) -> None:
    """Ensures that unknown models and versions are told, with those there are."""
    with pytest.raises(ModelNotFound, match=problem):
        await infer(stub, request(model, floats([1.0]), model_version=version))
    with pytest.raises(ModelNotFound, match=problem):
        await calls.call(stub.ModelMetadata, Metadata(name=model, version=version))


async def test_a_message_that_is_too_large_is_refused(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that 100 MB end as a refusal that names the limit, and the server goes on."""
    with pytest.raises(LimitReached, match="at most 20,971,520 may be in one; send less"):
        await infer(stub, request("times", np.zeros((1, 25_000_000), np.float32)))
    assert array_of(await infer(stub, request("times", floats([1.0])))).item() == 3.0


async def test_large_messages_within_the_limit(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that what is decoded and encoded beside the event loop is right too."""
    array = np.arange(900_000, dtype=np.float32).reshape(9, 100_000)
    np.testing.assert_array_equal(array_of(await infer(stub, request("times", array))), array * 3)


async def test_a_cancelled_call_hurts_nobody(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that callers that go away at any moment leave the others their answers."""
    going = [stub.ModelInfer(request("shared", floats([float(number)]))) for number in range(20)]
    staying = [asyncio.ensure_future(infer(stub, request("shared", floats([float(number)])))) for number in range(20)]
    for number, each in enumerate(going):
        if number % 3:
            await asyncio.sleep(0)
        each.cancel()
    answers = await asyncio.gather(*staying)
    assert [array_of(each).item() for each in answers] == [2.0 * number for number in range(20)]


@pytest.mark.parametrize(
    "name", [f"{memory}SharedMemory{verb}" for memory in ("System", "Cuda") for verb in ("Status", "Register", "Unregister")]
)
async def test_shared_memory_is_not_served(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    """Ensures that each of its calls ends as UNIMPLEMENTED with a way out."""
    with pytest.raises(MethodUnknown, match="send tensors in raw_input_contents"):
        await calls.call(getattr(stub, name), getattr(unserved_pb2, f"{name}Request")())


@pytest.mark.parametrize("name", ["TraceSetting", "LogSettings"])
async def test_tracing_and_logging_are_not_served(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    """Ensures that each ends as UNIMPLEMENTED and says where they are set."""
    with pytest.raises(MethodUnknown, match="the server's environment"):
        await calls.call(getattr(stub, name), getattr(unserved_pb2, f"{name}Request")())


async def test_others_are_not_admitted(settings: InferenceSettings, authority: Authority, tensors: Path) -> None:
    """Ensures that a service that has no business with tensor models is refused, though its certificate is ours."""
    async with open_inference(settings, authority, tensors, identity="ratelimit") as stub:
        with pytest.raises(CallerNotAllowed):
            await infer(stub, request("times", floats([1.0])))
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in stub.ModelStreamInfer(iter([request("times", floats([1.0]))])):
                pass
