"""Loading, unloading and replacing tensor models over the wire, under load and with what cannot be served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto

from mezzotint.api.open_inference import model_repository_pb2 as repository_pb2
from mezzotint.api.open_inference import model_statistics_pb2, open_inference_pb2
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import calls
from mezzotint.runtime.errors import CallerNotAllowed, FieldInvalid, LimitReached, ModelInvalid, ModelNotFound
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import floats, open_inference, replace_graph, request, same, times, write_model
from tests.inference.tiny_model import model, node, value

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    """A repository with one model."""
    write_model(tmp_path / "tensors" / "times", times(2))
    return tmp_path / "tensors"


@pytest.fixture
async def stub(
    settings: InferenceSettings, authority: Authority, tensors: Path
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over it, called as the operator."""
    async with open_inference(settings, authority, tensors) as opened:
        yield opened


async def load(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    await calls.call(stub.RepositoryModelLoad, repository_pb2.RepositoryModelLoadRequest(model_name=name), timeout=20)


async def unload(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    await calls.call(stub.RepositoryModelUnload, repository_pb2.RepositoryModelUnloadRequest(model_name=name), timeout=20)


async def index(stub: GRPCInferenceServiceAsyncStub, *, ready: bool = False) -> list[tuple[str, str, str, str]]:
    answer = await stub.RepositoryIndex(repository_pb2.RepositoryIndexRequest(ready=ready))
    return [(each.name, each.version, each.state, each.reason) for each in answer.models]


async def product(stub: GRPCInferenceServiceAsyncStub) -> float:
    answer = await calls.call(stub.ModelInfer, request("times", floats([1.0])), timeout=20)
    return float(np.frombuffer(answer.raw_output_contents[0], np.float32).item())


async def test_models_come_and_go(stub: GRPCInferenceServiceAsyncStub, tensors: Path) -> None:
    """Ensures that the index follows what is loaded and what is on disk."""
    write_model(tensors / "more", times(5))
    assert await index(stub) == [("more", "1", "UNAVAILABLE", "it is not loaded"), ("times", "1", "READY", "")]
    await load(stub, "more")
    await unload(stub, "times")
    assert await index(stub, ready=True) == [("more", "1", "READY", "")]
    with pytest.raises(ModelNotFound, match="loaded: more"):
        await product(stub)
    await unload(stub, "times")
    await load(stub, "times")
    assert await product(stub) == 2.0


async def test_a_model_is_replaced_without_a_failed_request(stub: GRPCInferenceServiceAsyncStub, tensors: Path) -> None:
    """Ensures that callers of a model that is loaded again and again get the old answer or the new one, no error."""
    stop, answers = asyncio.Event(), list[float]()

    async def caller() -> None:
        while not stop.is_set():
            answers.append(await product(stub))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(caller())
        for factor in range(3, 9):
            await asyncio.to_thread(replace_graph, tensors / "times", times(factor))
            await load(stub, "times")
            assert await product(stub) == factor
        stop.set()
    assert set(answers) <= set(range(2, 9))
    assert len(answers) >= 8


async def test_a_request_under_way_outlives_its_model(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that what was asked before an unload is answered, and that the unload waits for it."""
    under_way = [asyncio.ensure_future(product(stub)) for _ in range(20)]
    await asyncio.sleep(0)
    await unload(stub, "times")
    for answer in await asyncio.gather(*under_way, return_exceptions=True):
        assert answer == 2.0 or (isinstance(answer, ModelNotFound) and "loaded: none" in answer.message)


async def test_a_new_version_takes_over_when_it_is_loaded(stub: GRPCInferenceServiceAsyncStub, tensors: Path) -> None:
    """Ensures that the latest of the versions is served, numerically, and how many are is the settings' choice."""
    for version, factor in ((9, 9), (10, 10)):
        write_model(tensors / "times", times(factor), version=version)
    assert await product(stub) == 2.0
    await load(stub, "times")
    assert await product(stub) == 10.0
    await asyncio.to_thread((tensors / "times" / "model.yaml").write_text, "versions: 2\n")
    await load(stub, "times")
    states = {version: state for _, version, state, _ in await index(stub)}
    assert states == {"1": "UNAVAILABLE", "9": "READY", "10": "READY"}


def damaged(folder: Path, what: str) -> None:
    """Spoil the model `times`."""
    file = folder / "1" / "model.onnx"
    if what == "garbage":
        file.write_bytes(b"no graph at all")
    elif what == "truncated":
        file.write_bytes(file.read_bytes()[:-20])
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "missing":
        file.unlink()
    elif what == "no version":
        (folder / "1").rename(folder / "one")
    else:
        (folder / "model.yaml").write_text(what)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("garbage", "1/model.onnx: ONNX Runtime cannot load it"),
        ("truncated", "1/model.onnx: ONNX Runtime cannot load it"),
        ("empty", "1/model.onnx: it is empty"),
        ("missing", "1/model.onnx: it is missing"),
        ("no version", "times: it has no version; put the graph into times/1/model.onnx"),
        ("max_batch_size: many\n", r"model.yaml:1: 'many': write a whole number from 1 to 4096"),
        ("batch: 3\n", r"model.yaml:1: a model has no field 'batch'; it has max_batch_size, "),
        ("max_queue_delay_microseconds: 5\n", "model.yaml:1: nothing is waited for without max_batch_size"),
        ("[]\n", "write a mapping"),
    ],
)
async def test_what_cannot_be_served_is_refused_and_the_old_one_stays(
    stub: GRPCInferenceServiceAsyncStub, tensors: Path, what: str, reason: str
) -> None:
    """Ensures that a spoiled folder is refused with file and reason, and takes nothing away that is loaded."""
    await asyncio.to_thread(damaged, tensors / "times", what)
    with pytest.raises(ModelInvalid, match=reason):
        await load(stub, "times")
    assert await product(stub) == 2.0
    await unload(stub, "times")
    (found,) = await index(stub)
    assert found[2] == "UNAVAILABLE"
    assert reason.split(": ")[0] in found[3]


async def test_a_graph_whose_rows_cannot_be_batched_is_refused(stub: GRPCInferenceServiceAsyncStub, tensors: Path) -> None:
    """Ensures that max_batch_size is believed only of graphs that leave their rows open."""
    fixed = [value(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    write_model(tensors / "fixed", model([node("Relu", ["x"], "y")], fixed[:1], fixed[1:]), settings="max_batch_size: 2\n")
    with pytest.raises(ModelInvalid, match=r"input x has the shape \[1, 3\]; max_batch_size needs an open first dimension"):
        await load(stub, "fixed")


async def test_a_type_that_does_not_travel_is_refused(stub: GRPCInferenceServiceAsyncStub, tensors: Path) -> None:
    """Ensures that a model that nobody could call is not loaded."""
    sides = [value(name, TensorProto.BFLOAT16, ["batch"]) for name in "xy"]
    write_model(tensors / "brain", model([node("Identity", ["x"], "y")], sides[:1], sides[1:]))
    with pytest.raises(ModelInvalid, match=r"input x is tensor\(bfloat16\); served are "):
        await load(stub, "brain")


async def test_a_spoiled_model_does_not_keep_the_others_from_starting(
    settings: InferenceSettings, authority: Authority, tensors: Path
) -> None:
    """Ensures that the server starts with the models it can serve and tells why the other one is not there."""
    write_model(tensors / "bad", same("FP32"))
    damaged(tensors / "bad", "garbage")
    async with open_inference(settings, authority, tensors) as stub:
        assert (await stub.ServerReady(open_inference_pb2.ServerReadyRequest())).ready
        states = {name: (state, reason) for name, _, state, reason in await index(stub)}
        assert states["times"] == ("READY", "")
        assert states["bad"][0] == "UNAVAILABLE"
        assert "ONNX Runtime cannot load it" in states["bad"][1]


async def test_a_model_over_the_memory_of_all_models_is_refused(
    settings: InferenceSettings, authority: Authority, tensors: Path
) -> None:
    """Ensures that the bound of models that draw is that of tensor models too, and that a caller is told the figures."""
    write_model(tensors / "vast", times(5))
    with (tensors / "vast" / "1" / "weights.bin").open("wb") as file:
        file.truncate(400 * 1024 * 1024)
    async with open_inference(settings.model_copy(update={"memory_mib": 1000}), authority, tensors) as stub:
        with pytest.raises(LimitReached, match=r"vast takes about 1200\.0 MiB of memory; 1000\.0 MiB is the most"):
            await load(stub, "vast")
        assert {name: state for name, _, state, _ in await index(stub)} == {"times": "READY", "vast": "UNAVAILABLE"}
        assert await product(stub) == 2.0


async def test_statistics_are_those_of_the_loaded_version(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that what happened is what is told, and that a model that is loaded again begins anew."""
    for _ in range(3):
        await product(stub)
    with pytest.raises(FieldInvalid):
        await calls.call(stub.ModelInfer, request("times", floats([1.0]), "FP64"))
    (told,) = (await stub.ModelStatistics(model_statistics_pb2.ModelStatisticsRequest(name="times"))).model_stats
    assert (told.name, told.version, told.inference_count, told.execution_count) == ("times", "1", 3, 3)
    stages = told.inference_stats
    assert (stages.success.count, stages.fail.count, stages.queue.count, stages.compute_infer.count) == (3, 1, 3, 3)
    parts = stages.queue.ns + stages.compute_input.ns + stages.compute_infer.ns + stages.compute_output.ns
    assert 0 < parts <= stages.success.ns
    assert [(each.batch_size, each.compute_infer.count) for each in told.batch_stats] == [(1, 3)]
    assert told.last_inference > 1_700_000_000_000
    await load(stub, "times")
    (told,) = (await stub.ModelStatistics(model_statistics_pb2.ModelStatisticsRequest())).model_stats
    assert (told.inference_count, told.last_inference) == (0, 0)


@pytest.mark.parametrize("name", ["", "..", "../times", "/etc", "times/1", ".hidden"])
async def test_names_lead_nowhere_else(stub: GRPCInferenceServiceAsyncStub, name: str) -> None:
    """Ensures that a name is looked up among the folders there are and never becomes a path."""
    with pytest.raises(ModelNotFound, match="there are: times"):
        await load(stub, name)


async def test_what_would_be_ignored_is_refused(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a load that asks for more than a load is told so."""
    other = repository_pb2.RepositoryModelLoadRequest(model_name="times", repository_name="other")
    with pytest.raises(FieldInvalid, match="one repository"):
        await calls.call(stub.RepositoryModelLoad, other)
    overridden = repository_pb2.RepositoryModelLoadRequest(model_name="times")
    overridden.parameters["config"].string_param = "{}"
    with pytest.raises(FieldInvalid, match=r"'config' is not served; put the model and its model\.yaml into the repository"):
        await calls.call(stub.RepositoryModelLoad, overridden)


async def test_only_the_operator_loads_and_unloads(settings: InferenceSettings, authority: Authority, tensors: Path) -> None:
    """Ensures that the gateway may infer and look, and change nothing."""
    async with open_inference(settings, authority, tensors, identity="gateway") as stub:
        assert await product(stub) == 2.0
        assert await index(stub, ready=True) == [("times", "1", "READY", "")]
        for change in (load, unload):
            with pytest.raises(CallerNotAllowed):
                await change(stub, "times")


async def test_without_a_folder_there_are_no_models(settings: InferenceSettings, authority: Authority, tmp_path: Path) -> None:
    """Ensures that a server without tensor models answers, and says what to set."""
    async with open_inference(settings, authority, tmp_path / "nothing") as stub:
        assert await index(stub) == []
        with pytest.raises(ModelNotFound, match="there are: none"):
            await load(stub, "times")
