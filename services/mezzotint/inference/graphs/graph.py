"""ONNX graphs of a model folder: opening them, and holding their inputs and outputs to what is expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mezzotint.inference.graphs.bound_calls import BoundCalls, bucket_of
from mezzotint.inference.graphs.devices import CUDA, Provider, Way, available, session_options, ways
from mezzotint.inference.graphs.files import invalid, readable
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime, state
from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal

log = logging.get(__name__)

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
    # What calls over buffers raise.
    RuntimeError,
    ValueError,
    MemoryError,
)
FLOAT, HALF, INT64 = "tensor(float)", "tensor(float16)", "tensor(int64)"


@dataclass(frozen=True)
class Tensor:
    """An input or output as it must be: `dtype` in ONNX Runtime's words, `shape` with None for what the graph may choose.

    The first dimension is the batch: the graph must leave it open.
    """

    dtype: str
    shape: tuple[int | None, ...]


class Graph:
    """One graph, ready to be called with float32; what it wants as float16 is made so at its door, and comes back as float32.

    Calls may run at the same time in different threads.
    """

    def __init__(
        self,
        folder: Path,
        file: str,
        inputs: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        threads: int,
        *,
        captured: bool = False,
        openings: Sequence[Way] | None = None,
    ) -> None:
        """Open `file` of a model folder. Raises ModelInvalid when it cannot be opened or is not what is expected.

        `captured`: it is called again and again in few shapes; `openings` are the ways to open it, this machine's if left out.
        """
        self._file = file
        self._outputs = list(outputs)
        self._session, way = _opened(
            readable(folder, file), file, threads, ways(available(), captured=captured) if openings is None else openings
        )
        check(file, "input", self._session.get_inputs(), inputs)
        check(file, "output", self._session.get_outputs(), outputs)
        if extra := {each.name for each in self._session.get_inputs()} - set(inputs):
            raise invalid(file, f"it has inputs that nobody fills: {', '.join(sorted(extra))}")
        self._halves = {each.name for each in self._session.get_inputs() if each.type == HALF}
        device = "cuda" if self.device == CUDA else "cpu"
        self.bound = BoundCalls(self._session, self._outputs, device, captured=way.captured) if way.bound else None

    def __call__(self, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """The outputs, in the order they were expected in. Raises Internal when ONNX Runtime or the device refuses the call."""
        feed = {name: value.astype(np.float16) if name in self._halves else value for name, value in inputs.items()}
        try:
            results = self._session.run(self._outputs, feed) if self.bound is None else self.bound(feed)
        except FAILURES as error:
            raise Internal(f"{self._file}: the call failed: {error}") from error
        return [result.astype(np.float32, copy=False) for result in results]

    def padding(self, rows: int) -> int:
        """Rows that a call with so many is filled up with, whose results are thrown away."""
        return 0 if self.bound is None else bucket_of(rows) - rows

    def width(self, output: str) -> int:
        """The last dimension of an output. Raises ModelInvalid when the graph leaves it open."""
        size = self.fixed(output, -1)
        if size is None:
            raise invalid(self._file, f"output {output} must fix its last dimension; it leaves it open")
        return size

    def fixed(self, name: str, axis: int) -> int | None:
        """The size of a dimension of an input or output that the graph fixes; None when it leaves it open."""
        found = next(each for each in (*self._session.get_outputs(), *self._session.get_inputs()) if each.name == name)
        size = found.shape[axis]
        return size if isinstance(size, int) else None

    @property
    def device(self) -> str:
        """What it runs on: "CUDAExecutionProvider" or "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])


def _opened(path: Path, file: str, threads: int, openings: Sequence[Way]) -> tuple[Any, Way]:
    """A session, opened in the first way that works, and that way. Raises ModelInvalid when none does."""
    for number, way in enumerate(openings, start=1):
        try:
            session = onnxruntime.InferenceSession(str(path), session_options(threads, way), providers=list(way.providers))
        except FAILURES as error:
            if number == len(openings):
                raise invalid(file, f"ONNX Runtime cannot load it: {error}") from error
            log.warning(
                "a graph is opened in a slower way", file=file, options=way.options, captured=way.captured, why=str(error)
            )
        else:
            return session, way
    raise AssertionError("a graph is opened in one way at least")


def check(file: str, kind: str, found: Sequence[Any], expected: Mapping[str, Tensor]) -> None:
    """Raise ModelInvalid unless every expected tensor is there with its dtype and a shape that admits the expected one."""
    by_name = {each.name: each for each in found}
    for name, tensor in expected.items():
        if name not in by_name:
            raise invalid(file, f"{kind} {name} is missing; it has {', '.join(sorted(by_name)) or 'none'}")
        actual = by_name[name]
        if actual.type != tensor.dtype and (actual.type, tensor.dtype) != (HALF, FLOAT):
            raise invalid(file, f"{kind} {name} is {actual.type}; it must be {tensor.dtype}")
        if len(actual.shape) != len(tensor.shape):
            raise invalid(file, f"{kind} {name} has the shape {actual.shape}; it must have {len(tensor.shape)} dimensions")
        if isinstance(actual.shape[0], int):
            raise invalid(file, f"{kind} {name} fixes its batch to {actual.shape[0]}; the first dimension must be open")
        for axis, (has, needs) in enumerate(zip(actual.shape, tensor.shape, strict=True)):
            if needs is not None and isinstance(has, int) and has != needs:
                raise invalid(file, f"{kind} {name} has {has} in dimension {axis}; it must have {needs}")


def expect_numbers(file: str, values: npt.NDArray[np.float32], shape: tuple[int, ...]) -> None:
    """Raise ModelInvalid unless a graph's result has the right shape and nothing in it is NaN or infinite."""
    if values.shape != shape:
        raise invalid(file, f"its result has the shape {values.shape} on a warm-up run; it must be {shape}")
    if wrong := int(np.count_nonzero(~np.isfinite(values))):
        raise invalid(file, f"{wrong} of {values.size} results are not numbers on a warm-up run")


def options(threads: int) -> onnxruntime.SessionOptions:
    """The session options of a graph that is called as it is: `threads` in one call."""
    return session_options(threads, Way(()))


def providers() -> list[Provider]:
    """The devices of this machine, best first, for a graph that may use all of them."""
    return list(ways(available(), captured=False)[-1].providers)
