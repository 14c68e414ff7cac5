"""A repository of plain tensor models, made in milliseconds, and the service over it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from onnx import TensorProto

from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.tensors.types import BY_NAME, Array
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import model, node, save, value
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

OPEN = "inference.GRPCInferenceService"
ONNX_TYPES = {
    **{name: getattr(TensorProto, name) for name in BY_NAME if hasattr(TensorProto, name) and name != "BYTES"},
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
# Rows of what `lookup` looks up: an index beyond them makes ONNX Runtime refuse the call.
TABLE_ROWS = 5


def write_model(folder: Path, made: onnx.ModelProto, *, version: int = 1, settings: str = "") -> Path:
    """Put a graph into a repository as a version of the model `folder`."""
    save(folder / str(version) / "model.onnx", made)
    if settings:
        (folder / "model.yaml").write_text(settings)
    return folder


def same(datatype: str) -> onnx.ModelProto:
    """Gives its input back: any rows, any columns."""
    kind = ONNX_TYPES[datatype]
    return model([node("Identity", ["x"], "y")], [value("x", kind, ["batch", "width"])], [value("y", kind, ["batch", "width"])])


def times(factor: float) -> onnx.ModelProto:
    """Multiplies its input."""
    x, y = (value(name, TensorProto.FLOAT, ["batch", "width"]) for name in "xy")
    return model([node("Mul", ["x", "factor"], "y")], [x], [y], factor=np.array(factor, np.float32))


def lookup() -> onnx.ModelProto:
    """The rows of a table at some indices; another output tells the index again."""
    inputs = [value("index", TensorProto.INT64, ["batch"])]
    outputs = [value("row", TensorProto.FLOAT, ["batch", 2]), value("again", TensorProto.INT64, ["batch"])]
    table = np.arange(2 * TABLE_ROWS, dtype=np.float32).reshape(TABLE_ROWS, 2)
    nodes = [node("Gather", ["table", "index"], "row"), node("Identity", ["index"], "again")]
    return model(nodes, inputs, outputs, table=table)


def doubling() -> onnx.ModelProto:
    """Each row twice: no model to share calls with, though its first dimensions are open."""
    x = value("x", TensorProto.FLOAT, ["batch", "width"])
    return model([node("Concat", ["x", "x"], "y", axis=0)], [x], [value("y", TensorProto.FLOAT, ["rows", "width"])])


def vast() -> onnx.ModelProto:
    """So many zeros as are asked for."""
    inputs, outputs = [value("size", TensorProto.INT64, [1])], [value("zeros", TensorProto.FLOAT, ["size"])]
    return model([node("ConstantOfShape", ["size"], "zeros")], inputs, outputs)


def write_repository(folder: Path) -> Path:
    """A model of each kind."""
    for name in BY_NAME:
        write_model(folder / f"same_{name.lower()}", same(name))
    write_model(folder / "times", times(2), version=1)
    write_model(folder / "times", times(3), version=2, settings="versions: 2\n")
    write_model(folder / "shared", times(2), settings="max_batch_size: 8\nmax_queue_delay_microseconds: 100_000\n")
    write_model(folder / "lookup", lookup(), settings="max_batch_size: 8\nmax_queue_delay_microseconds: 100_000\n")
    return folder


def request(name: str, array: Array, datatype: str = "FP32", *, tensor: str = "x", **fields: Any) -> ModelInferRequest:
    """A request with one raw input."""
    made = ModelInferRequest(model_name=name, raw_input_contents=[array.tobytes()], **fields)
    made.inputs.add(name=tensor, datatype=datatype, shape=array.shape)
    return made


def floats(*rows: list[float]) -> Array:
    """Rows as FP32."""
    return np.array(rows, np.float32)


def replace_graph(folder: Path, made: onnx.ModelProto) -> None:
    """Put another graph in the place of version 1, as an operator would: beside it, then under its name."""
    save(folder / "new.onnx", made)
    shutil.move(folder / "new.onnx", folder / "1" / "model.onnx")


@asynccontextmanager
async def open_inference(
    settings: InferenceSettings, authority: Authority, tensors: Path, *, identity: str = "operator"
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over a repository of tensor models, once it says it is ready."""
    chosen = settings.model_copy(update={"tensor_models": tensors, "tensor_threads": 2})
    async with serving(run, chosen) as port, connect(authority, port, "inference", identity=identity) as channel:
        async for response in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=OPEN)):
            if response.status == health_pb2.HealthCheckResponse.SERVING:
                break
        yield GRPCInferenceServiceStub(channel)
