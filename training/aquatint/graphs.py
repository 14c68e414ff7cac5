"""Export one torch module as an ONNX graph with a dynamic batch, halve its weights, and check it.

Weights are rounded to float16 and stored so, each behind a Cast. ONNX Runtime folds the casts when it
loads the graph: inputs, outputs and arithmetic stay float32, at full speed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 18
EXAMPLE_BATCH = 2  # a batch of one would be taken for a constant
HALVED_ELEMENTS_MIN = 1024
CHECKED_BATCHES = (1, 3)
TOLERANCE = 2e-4  # largest absolute difference, outputs being of order one

InputMaker = Callable[[int], tuple[Tensor, ...]]


class ParityError(RuntimeError):
    """The graph does not compute what the module computes."""


@dataclass(frozen=True)
class GraphSpec:
    """What to export: the module, its named inputs and outputs, and random inputs of a given batch."""

    name: str
    module: nn.Module
    inputs: Sequence[str]
    outputs: Sequence[str]
    make_inputs: InputMaker


def export_graph(spec: GraphSpec, path: Path) -> None:
    """Write ``spec`` to ``path`` with half-size weights, and raise ``ParityError`` if it differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    module = spec.module.eval()
    round_weights(module)
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = spec.make_inputs(EXAMPLE_BATCH)
    program = torch.onnx.export(
        module,
        example,
        input_names=list(spec.inputs),
        output_names=list(spec.outputs),
        dynamic_shapes=tuple({0: batch} for _ in example),
        opset_version=OPSET,
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    strip_source_notes(model)
    halve_weights(model)
    onnx.checker.check_model(model)
    partial = path.with_suffix(".partial")
    onnx.save(model, partial)
    worst = largest_difference(spec, partial)
    print(f"{spec.name}: {partial.stat().st_size / 1e6:.2f} MB, largest difference {worst:.1e}", flush=True)
    if worst > TOLERANCE:
        partial.unlink()
        raise ParityError(f"{spec.name}: graph and module differ by {worst:.2e} > {TOLERANCE:.0e}")
    partial.replace(path)


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round the weights that will be halved, so that the module compared is the one that is stored."""
    for parameter in module.parameters():
        if parameter.numel() >= HALVED_ELEMENTS_MIN:
            parameter.copy_(parameter.half().float())


def strip_source_notes(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they hold stack traces with this machine's paths."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    items: list[Any] = [graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info]
    for item in items:
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.value_info[:]


def halve_weights(model: onnx.ModelProto) -> None:
    """Store every large float32 initializer as float16, with a Cast that gives it back its name."""
    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or array.size < HALVED_ELEMENTS_MIN:
            continue
        wide_name, half_name = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), half_name))
        casts.append(helper.make_node("Cast", [half_name], [wide_name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@torch.no_grad()
def largest_difference(spec: GraphSpec, path: Path) -> float:
    """Compare graph and module on fresh random inputs at several batch sizes."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in CHECKED_BATCHES:
        inputs = spec.make_inputs(batch)
        expected = spec.module(*inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        feed = {name: value.numpy() for name, value in zip(spec.inputs, inputs, strict=True)}
        for wanted, got in zip(expected, session.run(list(spec.outputs), feed), strict=True):
            if wanted.shape != got.shape:
                raise ParityError(f"{spec.name}: shape {got.shape}, expected {tuple(wanted.shape)}")
            worst = max(worst, float(np.abs(wanted.numpy() - got).max()))
    return worst
