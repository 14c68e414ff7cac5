"""The ONNX file that all serve: three dense layers, so small that the serving around it is what is measured."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAME, INPUT, OUTPUT = "dense", "x", "y"
FEATURES, HIDDEN, CLASSES = 64, 256, 10


def write_graph(path: Path) -> Path:
    """Write the file and return its path; the weights are the same each time."""
    random = np.random.default_rng(4)
    weights = {
        "first": random.standard_normal((FEATURES, HIDDEN), np.float32) / 8,
        "second": random.standard_normal((HIDDEN, HIDDEN), np.float32) / 16,
        "third": random.standard_normal((HIDDEN, CLASSES), np.float32) / 16,
    }
    nodes = [
        helper.make_node("MatMul", [INPUT, "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "third"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(content, name) for name, content in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(path))
    return path


def row() -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """One request's input."""
    return np.random.default_rng(5).standard_normal((1, FEATURES)).astype(np.float32)
