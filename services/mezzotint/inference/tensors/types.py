"""The types of tensors that ONNX Runtime, NumPy and the Open Inference Protocol share, by each one's name."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mezzotint.api.open_inference import model_config_pb2

Array = npt.NDArray[Any]
BYTES = "BYTES"


@dataclass(frozen=True, slots=True)
class TensorType:
    """One type: its name in the protocol and in ONNX Runtime, and its NumPy type as it travels.

    `number` stands for it in a model's configuration; `contents` is the list of InferTensorContents for it, none for FP16.
    """

    name: str
    runtime: str
    dtype: "np.dtype[Any]"
    number: "model_config_pb2.DataType.ValueType"
    contents: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a graph; None stands for a dimension that may have any size."""

    name: str
    type: TensorType
    shape: tuple[int | None, ...]


def _type(name: str, runtime: str, dtype: str, contents: str) -> TensorType:
    number = model_config_pb2.DataType.Value("TYPE_STRING" if name == BYTES else f"TYPE_{name}")
    # Little-endian whatever the machine is: so it travels. BYTES are Python texts here, which is what ONNX Runtime takes.
    return TensorType(name, f"tensor({runtime})", np.dtype(dtype), number, contents)


TYPES: tuple[TensorType, ...] = (
    _type("BOOL", "bool", "?", "bool_contents"),
    _type("UINT8", "uint8", "<u1", "uint_contents"),
    _type("UINT16", "uint16", "<u2", "uint_contents"),
    _type("UINT32", "uint32", "<u4", "uint_contents"),
    _type("UINT64", "uint64", "<u8", "uint64_contents"),
    _type("INT8", "int8", "<i1", "int_contents"),
    _type("INT16", "int16", "<i2", "int_contents"),
    _type("INT32", "int32", "<i4", "int_contents"),
    _type("INT64", "int64", "<i8", "int64_contents"),
    _type("FP16", "float16", "<f2", ""),
    _type("FP32", "float", "<f4", "fp32_contents"),
    _type("FP64", "double", "<f8", "fp64_contents"),
    _type(BYTES, "string", "O", "bytes_contents"),
)
BY_NAME = {each.name: each for each in TYPES}
BY_RUNTIME = {each.runtime: each for each in TYPES}
