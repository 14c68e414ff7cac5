"""ONNX graphs of a model folder: opening them, and holding their inputs and outputs to what is expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mezzotint.inference.card import invalid, readable
from mezzotint.inference.quiet_onnxruntime import onnxruntime, state
from mezzotint.runtime.errors import Internal

# Everything ONNX Runtime raises for a graph or a call it cannot serve.
FAILURES: tuple[type[Exception], ...] = (
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.ModelLoaded,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
    ValueError,
    MemoryError,
)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
ERRORS_ONLY = 3


@dataclass(frozen=True)
class Tensor:
    """An input or output as it must be: `dtype` in ONNX Runtime's words, `shape` with None for what the graph may choose.

    The first dimension is the batch: the graph must leave it open.
    """

    dtype: str
    shape: tuple[int | None, ...]


class Graph:
    """One graph, ready to be called. Calls may run at the same time in different threads."""

    def __init__(
        self, folder: Path, file: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], threads: int
    ) -> None:
        """Open `file` of a model folder. Raises ModelInvalid when it cannot be opened or is not what is expected."""
        self._file = file
        self._outputs = list(outputs)
        path = readable(folder, file)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options(threads), providers=providers())
        except FAILURES as error:
            raise invalid(file, f"ONNX Runtime cannot load it: {error}") from error
        check(file, "input", self._session.get_inputs(), inputs)
        check(file, "output", self._session.get_outputs(), outputs)
        if extra := {each.name for each in self._session.get_inputs()} - set(inputs):
            raise invalid(file, f"it has inputs that nobody fills: {', '.join(sorted(extra))}")

    def __call__(self, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """The outputs, in the order they were expected in. Raises Internal when ONNX Runtime or the device refuses the call."""
        try:
            results: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, inputs)
        except FAILURES as error:
            raise Internal(f"{self._file}: the call failed: {error}") from error
        return results

    def width(self, output: str) -> int:
        """The last dimension of an output. Raises ModelInvalid when the graph leaves it open."""
        size = next(each.shape[-1] for each in self._session.get_outputs() if each.name == output)
        if not isinstance(size, int):
            raise invalid(self._file, f"output {output} must fix its last dimension; it is {size!r}")
        return size

    @property
    def device(self) -> str:
        """What it runs on: "CUDAExecutionProvider" or "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])


def check(file: str, kind: str, found: Sequence[Any], expected: Mapping[str, Tensor]) -> None:
    """Raise ModelInvalid unless every expected tensor is there with its dtype and a shape that admits the expected one."""
    by_name = {each.name: each for each in found}
    for name, tensor in expected.items():
        if name not in by_name:
            raise invalid(file, f"{kind} {name} is missing; it has {', '.join(sorted(by_name)) or 'none'}")
        actual = by_name[name]
        if actual.type != tensor.dtype:
            raise invalid(file, f"{kind} {name} is {actual.type}; it must be {tensor.dtype}")
        if len(actual.shape) != len(tensor.shape):
            raise invalid(file, f"{kind} {name} has the shape {actual.shape}; it must have {len(tensor.shape)} dimensions")
        if isinstance(actual.shape[0], int):
            raise invalid(file, f"{kind} {name} fixes its batch to {actual.shape[0]}; the first dimension must be open")
        for axis, (has, needs) in enumerate(zip(actual.shape, tensor.shape, strict=True)):
            if needs is not None and isinstance(has, int) and has != needs:
                raise invalid(file, f"{kind} {name} has {has} in dimension {axis}; it must have {needs}")


def options(threads: int) -> onnxruntime.SessionOptions:
    """How a graph runs: `threads` in one call, which sleep instead of spinning while there is nothing to do."""
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = ERRORS_ONLY
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


@cache
def providers() -> list[str | tuple[str, dict[str, str]]]:
    """The devices to use, best first."""
    if CUDA in onnxruntime.get_available_providers():
        # CUDA's libraries come from packages beside this one, where no dynamic linker looks.
        onnxruntime.preload_dlls()
        # Batches change their size from call to call; an exhaustive search would stall on each new one.
        return [(CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}), CPU]
    return [CPU]
