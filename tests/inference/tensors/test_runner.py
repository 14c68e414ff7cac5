"""Requests that share calls of a real model whose calls begin when the test lets them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.call import TensorRequest
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.model_settings import TensorSettings
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.types import Array
from mezzotint.runtime.errors import FieldInvalid, Internal, JobExpired, ServerOverloaded
from tests.inference.tensor_models import TABLE_ROWS, doubling, floats, lookup, request, times, write_model


class GatedModel(TensorModel):
    """Its calls wait for the gate, and are written down."""

    def __init__(self, folder: Path, settings: TensorSettings) -> None:
        super().__init__(folder, 1, settings)
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.calls: list[list[float]] = []

    def __call__(self, outputs: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        self.calls.append(next(iter(inputs.values())).ravel().tolist())
        self.began.release()
        assert self.gate.wait(20)
        return super().__call__(outputs, inputs)


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def gated(folder: Path, **settings: int) -> GatedModel:
    return GatedModel(write_model(folder / "times", times(2)), TensorSettings(**settings))


def asked(model: TensorModel, value: float, **parameters: int) -> TensorRequest:
    made = request("times", floats([value]))
    for name, number in parameters.items():
        made.parameters[name].int64_param = number
    return tensor_request.decode(made, model)


async def begun(model: GatedModel, pool: ThreadPoolExecutor) -> None:
    """Wait until one more call began."""
    assert await asyncio.get_running_loop().run_in_executor(None, model.began.acquire, True, 20)


async def test_those_that_wait_behind_a_call_share_the_next(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that calls gather what came meanwhile, that each gets its own rows, and that the figures are true."""
    model = gated(tmp_path, max_batch_size=4)
    runner = TensorRunner(model, pool)
    first = asyncio.ensure_future(runner.run(asked(model, 0)))
    await begun(model, pool)
    others = [asyncio.ensure_future(runner.run(asked(model, number))) for number in range(1, 7)]
    await asyncio.sleep(0)
    model.gate.set()
    answers = await asyncio.gather(first, *others)
    assert [answer[0].tolist() for answer in answers] == [[[2.0 * number]] for number in range(7)]
    assert model.calls == [[0.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0]]
    seen = runner.statistics
    assert (seen.success.count, seen.fail.count, seen.inferences, seen.executions) == (7, 0, 7, 3)
    assert {rows: stages.compute_infer.count for rows, stages in seen.calls.items()} == {1: 1, 4: 1, 2: 1}
    assert seen.queue.count == seen.stages.compute_infer.count == 7
    assert seen.success.ns >= seen.stages.compute_infer.ns > 0


async def test_requests_of_one_moment_share_a_call(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that requests that arrive together go together even without a delay."""
    model = gated(tmp_path, max_batch_size=4)
    model.gate.set()
    runner = TensorRunner(model, pool)
    await asyncio.gather(*(runner.run(asked(model, number)) for number in range(4)))
    assert model.calls == [[0.0, 1.0, 2.0, 3.0]]


async def test_without_max_batch_size_nothing_is_shared(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that models are called once a request unless their settings say that rows are independent."""
    model = gated(tmp_path)
    model.gate.set()
    runner = TensorRunner(model, pool)
    await asyncio.gather(*(runner.run(asked(model, number)) for number in range(3)))
    assert model.calls == [[0.0], [1.0], [2.0]]


async def test_other_shapes_wait_for_a_call_of_their_own(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that a request of another width neither joins nor fails the others."""
    model = gated(tmp_path, max_batch_size=4)
    model.gate.set()
    runner = TensorRunner(model, pool)
    wide = tensor_request.decode(request("times", floats([7.0, 8.0])), model)
    answers = await asyncio.gather(runner.run(asked(model, 1)), runner.run(wide), runner.run(asked(model, 2)))
    assert [answer[0].tolist() for answer in answers] == [[[2.0]], [[14.0, 16.0]], [[4.0]]]
    assert sorted(model.calls) == [[1.0, 2.0], [7.0, 8.0]]


async def test_a_caller_that_goes_away_is_dropped_before_its_call(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that nothing is computed for nobody, and that it counts as failed."""
    model = gated(tmp_path, max_batch_size=4)
    runner = TensorRunner(model, pool)
    first = asyncio.ensure_future(runner.run(asked(model, 0)))
    await begun(model, pool)
    going, staying = (asyncio.ensure_future(runner.run(asked(model, number))) for number in (1, 2))
    await asyncio.sleep(0)
    going.cancel()
    model.gate.set()
    await asyncio.gather(first, staying)
    assert going.cancelled()
    assert model.calls == [[0.0], [2.0]]
    assert (runner.statistics.success.count, runner.statistics.fail.count) == (2, 1)


async def test_priority_and_timeout(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that lower levels go first, that a request without one goes last, and that one whose time is over fails."""
    model = gated(tmp_path, priority_levels=2)
    runner = TensorRunner(model, pool)
    first = asyncio.ensure_future(runner.run(asked(model, 0)))
    await begun(model, pool)
    late = asyncio.ensure_future(runner.run(asked(model, 9, timeout=1000)))
    waiting = [
        asyncio.ensure_future(runner.run(each))
        for each in (asked(model, 1), asked(model, 2, priority=2), asked(model, 3, priority=1))
    ]
    with pytest.raises(JobExpired, match=r"timeout of 0\.001 s"):
        await asyncio.wait_for(late, 20)
    model.gate.set()
    await asyncio.gather(first, *waiting)
    assert model.calls == [[0.0], [3.0], [1.0], [2.0]]


async def test_a_full_queue_refuses(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that a model has an end to its queue, and that those in it are served."""
    model = gated(tmp_path, max_queue_size=2)
    runner = TensorRunner(model, pool)
    first = asyncio.ensure_future(runner.run(asked(model, 0)))
    await begun(model, pool)
    waiting = [asyncio.ensure_future(runner.run(asked(model, number))) for number in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(ServerOverloaded, match="2 requests wait for this model"):
        await runner.run(asked(model, 3))
    model.gate.set()
    await asyncio.gather(first, *waiting)
    assert len(model.calls) == 3


async def test_instances_run_at_the_same_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that a model with two instances begins a second call before the first one ended."""
    model = gated(tmp_path, instances=2)
    runner = TensorRunner(model, pool)
    both = [asyncio.ensure_future(runner.run(asked(model, number))) for number in (1, 2)]
    await begun(model, pool)
    await begun(model, pool)
    model.gate.set()
    await asyncio.gather(*both)


async def test_one_that_fails_a_shared_call_fails_alone(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that values the graph refuses hurt only their own request, and are told as its sender's mistake."""
    model = TensorModel(write_model(tmp_path / "lookup", lookup()), 1, TensorSettings(max_batch_size=8))
    runner = TensorRunner(model, pool)

    def at(index: int) -> TensorRequest:
        return tensor_request.decode(request("lookup", np.array([index], np.int64), "INT64", tensor="index"), model)

    answers = await asyncio.gather(*(runner.run(at(index)) for index in (1, TABLE_ROWS, 3)), return_exceptions=True)
    assert [each[1].tolist() for each in answers if not isinstance(each, BaseException)] == [[1], [3]]
    assert isinstance(answers[1], FieldInvalid)
    assert "out of data bounds" in answers[1].message
    assert (runner.statistics.success.count, runner.statistics.fail.count, runner.statistics.executions) == (2, 1, 2)


async def test_outputs_without_a_row_each_are_no_answer(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Ensures that a model whose settings wrongly say that rows are independent gives an error, not other callers' numbers."""
    model = TensorModel(write_model(tmp_path / "doubling", doubling()), 1, TensorSettings(max_batch_size=8))
    runner = TensorRunner(model, pool)
    two = tensor_request.decode(request("doubling", floats([1.0], [2.0])), model)
    with pytest.raises(Internal, match="remove max_batch_size"):
        await runner.run(two)
