"""One part as one ONNX file: written in the precision asked for, large weights beside it, and held against torch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from mezzotint.export.parts import Part
from mezzotint.export.refusal import ExportRefused
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime

OPSET = 18
FILE, PLAIN, ROUNDED = "model.onnx", "float32.onnx", "int8.onnx"
# A batch of one would be taken for a constant, and sides that halve evenly for a rule that all sides must keep.
EXAMPLE = (2, 10, 14)
# Fresh inputs to compare on: rows, height, width in latent cells.
CHECKED = ((1, 16, 16), (3, 12, 20))
# protobuf holds no file of 2 GiB.
INLINE_BYTES_MAX = 2 * 1024**3 - 64 * 1024**2
# Inputs with numbers that float16 would round, noise levels and sizes, and what a UNet joins to them before it rounds both.
KEPT_FLOAT = {"timestep", "time_ids", "text_embeds"}
# Root of the mean square of the difference, as a part of the output's own. Dynamic int8 rounds every product's both sides.
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "int8": 1e-1}


@dataclass(frozen=True)
class Written:
    """A graph that was written: its file, bytes in all, and how far it was from torch at worst."""

    file: str
    size_bytes: int
    difference: float


def write(part: Part, folder: Path, precision: str, inline_bytes_max: int = INLINE_BYTES_MAX) -> Written:
    """Write a part to `folder`/model.onnx. Raises ExportRefused when torch cannot export it or the graph differs from it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    expected = [(inputs, _run(part, inputs)) for inputs in (part.make_inputs(*size) for size in CHECKED)]
    model = _exported(part, precision)
    if precision == "int8":
        model = _rounded(model, folder, inline_bytes_max)
    _save(model, path, inline_bytes_max)
    for each in (PLAIN, ROUNDED):
        for left in folder.glob(f"{each}*"):
            left.unlink()
    difference = _difference(part, path, expected)
    if not difference <= TOLERANCE[precision]:
        raise ExportRefused(
            f"{part.folder}/{FILE} differs from torch by {difference:.2e} of its output on random inputs; "
            f"{TOLERANCE[precision]:.0e} is the tolerance for {precision}"
        )
    return Written(f"{part.folder}/{FILE}", sum(each.stat().st_size for each in folder.glob("model.onnx*")), difference)


def _exported(part: Part, precision: str) -> Any:
    """The graph of a part as torch's exporter makes it."""
    example = part.make_inputs(*EXAMPLE)
    if precision == "float16":
        part.module.half()
        named = zip(part.inputs, example, strict=True)
        example = tuple(each.half() if each.is_floating_point() and name not in KEPT_FLOAT else each for name, each in named)
    dynamic = torch.export.Dim.DYNAMIC
    axes = tuple(dict.fromkeys((0, *part.open_axes.get(name, ())), dynamic) for name in part.inputs)
    try:
        with _quiet():
            program = torch.onnx.export(
                part,
                example,
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                dynamic_shapes=(axes,),
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                verbose=False,
            )
    except Exception as error:
        raise ExportRefused(f"{part.folder}: torch cannot export it: {str(error).splitlines()[0]}") from error
    assert program is not None, "torch.onnx.export with dynamo=True returns a program"
    return program.model


def _rounded(model: Any, folder: Path, inline_bytes_max: int) -> Any:
    """A graph whose matrices are int8, each column with a scale of its own; what meets them is rounded as it comes."""
    plain, rounded = folder / PLAIN, folder / ROUNDED
    _save(model, plain, inline_bytes_max)
    with _quiet():
        quantize_dynamic(
            plain,
            rounded,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
            use_external_data_format=len(list(folder.glob(f"{PLAIN}*"))) > 1,
        )
    return onnx_ir.load(rounded)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of torch and ONNX Runtime about their own internals: nobody here can act on them."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _save(model: Any, path: Path, inline_bytes_max: int) -> None:
    """Write a graph without the exporter's notes, which hold paths of this machine; large weights go to a file beside it."""
    model.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    onnx_ir.save(model, path, external_data=f"{path.name}_data" if weights > inline_bytes_max else None)


def _run(part: Part, inputs: tuple[torch.Tensor, ...]) -> list[npt.NDArray[Any]]:
    with torch.no_grad():
        return [each.numpy() for each in part(*inputs)]


def _difference(part: Part, path: Path, expected: list[tuple[tuple[torch.Tensor, ...], list[npt.NDArray[Any]]]]) -> float:
    """How far a graph is from what torch computed in float32. Raises ExportRefused when it does not run or has other shapes."""
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        types = {each.name: each.type for each in session.get_inputs()}
        worst = 0.0
        for inputs, wanted in expected:
            values = zip(part.inputs, (each.numpy() for each in inputs), strict=True)
            feed = {name: value.astype(np.float16) if "float16" in types[name] else value for name, value in values}
            worst = max(worst, *map(_relative, wanted, session.run(list(part.outputs), feed)))
    except Exception as error:
        raise ExportRefused(f"{part.folder}/{path.name}: ONNX Runtime cannot run it: {error}") from error
    return worst


def _relative(wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> float:
    """The root mean square of a difference as a part of the wanted values' own; infinite when the shapes differ."""
    if wanted.shape != got.shape:
        return float("inf")
    off = np.sqrt(np.mean((wanted - got.astype(np.float32)) ** 2, dtype=np.float64))
    return float(off / max(np.sqrt(np.mean(wanted**2, dtype=np.float64)), 1e-12))
