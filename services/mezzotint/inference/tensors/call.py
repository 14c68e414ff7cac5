"""One call of a tensor model for one or several requests, in a thread of the pool."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.inference.tensors.batcher import Key
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.types import Array
from mezzotint.runtime.errors import Internal


@dataclass(frozen=True, slots=True)
class TensorRequest:
    """A request that fits its model. `rows` are the rows it takes of a call, 1 where requests share none.

    `outputs` are the names asked for; `timeout` is in seconds, None: no end; `level` counts from 0, the first to go.
    """

    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    rows: int
    key: Key
    level: int = 0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one call by stage, when it began on the clock of time.perf_counter, and the rows it had."""

    began: float = 0.0
    compute_input: float = 0.0
    compute_infer: float = 0.0
    compute_output: float = 0.0
    rows: int = 0

    @property
    def all(self) -> float:
        """The seconds of all stages."""
        return self.compute_input + self.compute_infer + self.compute_output


# What a request came to: the outputs it asked for, or why there are none.
Result = list[Array] | BaseException


def call(model: TensorModel, requests: Sequence[TensorRequest]) -> list[tuple[Result, Spent]]:
    """Each request's result. One that fails a shared call fails alone: the others are run again without it. Blocks."""
    try:
        return _together(model, requests)
    except Exception as error:  # noqa: BLE001  # handed to whoever waits for the result
        if len(requests) > 1:
            return [call(model, [request])[0] for request in requests]
        return [(error, Spent())]


def _together(model: TensorModel, requests: Sequence[TensorRequest]) -> list[tuple[Result, Spent]]:
    """All requests in one call. Raises FieldInvalid, Internal."""
    began = time.perf_counter()
    first = requests[0]
    if len(requests) == 1:
        inputs, names = first.inputs, first.outputs
    else:
        inputs = {name: np.concatenate([each.inputs[name] for each in requests]) for name in first.inputs}
        names = tuple(dict.fromkeys(name for each in requests for name in each.outputs))
    gathered = time.perf_counter()
    outputs = dict(zip(names, model(names, inputs), strict=True))
    ran = time.perf_counter()
    rows = sum(each.rows for each in requests)
    if model.settings.max_batch_size:
        _check_rows(outputs, rows)
    results = list(_apart(outputs, requests)) if len(requests) > 1 else [[outputs[name] for name in first.outputs]]
    done = time.perf_counter()
    spent = Spent(began, gathered - began, ran - gathered, done - ran, rows)
    return [(result, spent) for result in results]


def _apart(outputs: dict[str, Array], requests: Sequence[TensorRequest]) -> Iterator[list[Array]]:
    """Each request's own rows of the outputs it asked for."""
    row = 0
    for each in requests:
        yield [outputs[name][row : row + each.rows] for name in each.outputs]
        row += each.rows


def _check_rows(outputs: dict[str, Array], rows: int) -> None:
    """Raise Internal unless every output has a row for each row that went in."""
    for name, output in outputs.items():
        if not output.ndim or len(output) != rows:
            raise Internal(
                f"output {name} has the shape {list(output.shape)} for {rows} rows; remove max_batch_size from model.yaml"
            )
