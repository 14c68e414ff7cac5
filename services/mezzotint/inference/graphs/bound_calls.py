"""Calls of a graph over buffers that stay where they are: one set for each shape of its inputs, on the device.

Rows are filled up to one of few counts, so that there are few shapes: on CUDA each is recorded as a CUDA graph on its second
call and replayed from then on, which needs the same shapes at the same addresses.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime

Arrays = Mapping[str, npt.NDArray[Any]]
# Rows that calls are filled up to; beyond the last they are left as they are.
BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# Shapes whose buffers are kept; of more, the least recently used goes.
SHAPES_MAX = 48
# What tells ONNX Runtime to run without recording.
NO_GRAPH = "-1"


@dataclass
class Buffers:
    """The buffers of one shape. `number` is the CUDA graph's."""

    number: int
    inputs: dict[str, Any]
    outputs: list[Any]
    binding: Any


class BoundCalls:
    """See the module. Calls may come from several threads and run one after another."""

    def __init__(self, session: Any, outputs: Sequence[str], device: str, *, captured: bool) -> None:
        """`device` is "cpu" or "cuda"; `captured`: the session was opened with enable_cuda_graph."""
        self._session = session
        self._outputs = list(outputs)
        self._device = device
        self._captured = captured
        self._kept: OrderedDict[tuple[Any, ...], Buffers] = OrderedDict()
        self._numbers = count(1)
        self._lock = Lock()

    def __call__(self, feed: Arrays) -> list[npt.NDArray[Any]]:
        """The outputs in order. Raises what ONNX Runtime raises."""
        rows = len(next(iter(feed.values())))
        filled = {name: fill(value, bucket_of(rows)) for name, value in feed.items()}
        with self._lock:
            buffers = self._kept.get(shape := shape_of(filled))
            if buffers is None:
                buffers = self._kept[shape] = self._made(filled)
                self._forget_oldest()
            self._kept.move_to_end(shape)
            for name, value in filled.items():
                buffers.inputs[name].update_inplace(value)
            self._run(buffers.binding, str(buffers.number))
            return [each.numpy()[:rows].copy() for each in buffers.outputs]

    @property
    def shapes(self) -> int:
        """Shapes that have buffers."""
        return len(self._kept)

    def _made(self, feed: Arrays) -> Buffers:
        """Buffers for a shape. A first run finds the outputs' shapes, and is the run that has to come before a recording."""
        inputs = {name: self._buffer(value) for name, value in feed.items()}
        first = self._session.io_binding()
        for name, value in inputs.items():
            first.bind_ortvalue_input(name, value)
        for name in self._outputs:
            first.bind_output(name, self._device, 0)
        self._run(first, NO_GRAPH)
        shapes = {name: each.numpy() for name, each in zip(self._outputs, first.get_outputs(), strict=True)}
        outputs = [self._buffer(shapes[name]) for name in self._outputs]
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._outputs, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        return Buffers(next(self._numbers), inputs, outputs, binding)

    def _buffer(self, values: npt.NDArray[Any]) -> Any:
        """A buffer of its own on the device; on the CPU it would else be the caller's array."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(values.copy(), self._device, 0)

    def _run(self, binding: Any, graph: str) -> None:
        options = onnxruntime.RunOptions()
        if self._captured:
            options.add_run_config_entry("gpu_graph_id", graph)
        self._session.run_with_iobinding(binding, options)

    def _forget_oldest(self) -> None:
        """Keep no more shapes than are allowed."""
        while len(self._kept) > SHAPES_MAX:
            _, oldest = self._kept.popitem(last=False)
            if self._captured:
                self._session.release_captured_graph(oldest.number)


def bucket_of(rows: int) -> int:
    """The rows that a call with `rows` rows is filled up to."""
    return next((bucket for bucket in BUCKETS if bucket >= rows), rows)


def fill(values: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """`values` with its last row repeated until there are `rows`, in one piece of memory."""
    missing = rows - len(values)
    return np.ascontiguousarray(np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values)


def shape_of(feed: Arrays) -> tuple[Any, ...]:
    """What calls over the same buffers agree in."""
    return tuple((name, value.shape, value.dtype.str) for name, value in feed.items())
