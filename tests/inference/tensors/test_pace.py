"""Which calls are made on the event loop: only those that have proved to be short."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.model_settings import TensorSettings
from mezzotint.inference.tensors.pace import KINDS_MAX, LONG_SECONDS, PROOF_CALLS, PROOF_CALLS_AGAIN, SHORT_SECONDS, Pace
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.types import Array
from tests.inference.tensor_models import floats, request, times, write_model


def test_it_takes_some_calls_to_believe_it() -> None:
    """Ensures that a kind is short after so many short calls, and no other kind with it."""
    pace = Pace()
    for _ in range(PROOF_CALLS):
        assert not pace.is_short("a")
        pace.took("a", SHORT_SECONDS / 2)
    assert pace.is_short("a")
    assert not pace.is_short("b")


def test_longer_calls_are_never_short() -> None:
    """Ensures that the mean decides."""
    pace = Pace()
    for _ in range(10 * PROOF_CALLS):
        pace.took("a", 1.2 * SHORT_SECONDS)
    assert not pace.is_short("a")


@pytest.mark.parametrize("seconds", [LONG_SECONDS, float("inf")])
def test_long_calls_take_the_belief_away(seconds: float) -> None:
    """Ensures that a kind whose calls were long, or failed, goes back to the threads; one long call is an accident."""
    pace = Pace()
    for _ in range(PROOF_CALLS):
        pace.took("a", SHORT_SECONDS / 2)
    pace.took("a", seconds)
    assert pace.is_short("a")
    pace.took("a", seconds)
    for _ in range(PROOF_CALLS_AGAIN):
        assert not pace.is_short("a")
        pace.took("a", SHORT_SECONDS / 2)
    assert pace.is_short("a")


def test_calls_that_grow_are_noticed() -> None:
    """Ensures that calls that become longer, each not long, are not short any more after some of them."""
    pace = Pace()
    for _ in range(PROOF_CALLS):
        pace.took("a", SHORT_SECONDS / 2)
    for _ in range(200):
        pace.took("a", 5 * SHORT_SECONDS)
    assert not pace.is_short("a")


def test_its_memory_has_an_end() -> None:
    """Ensures that callers who send ever new shapes fill nothing up."""
    pace = Pace()
    for kind in range(3 * KINDS_MAX):
        pace.took(kind, SHORT_SECONDS)
    assert len(pace._seen) <= KINDS_MAX


class WatchedModel(TensorModel):
    """Writes down which thread made each call; fails with a defect once told to."""

    def __init__(self, folder: Path, settings: TensorSettings) -> None:
        super().__init__(folder, 1, settings)
        self.threads: list[int] = []
        self.defect = False

    def __call__(self, outputs: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        self.threads.append(threading.get_ident())
        if self.defect:
            raise ZeroDivisionError
        return super().__call__(outputs, inputs)


async def test_short_calls_are_made_on_the_loop_and_defects_go_back_to_the_threads(tmp_path: Path) -> None:
    """Ensures that a tiny model needs no thread once it is known, and that whoever waits on a defect is told of it."""
    model = WatchedModel(write_model(tmp_path / "times", times(2)), TensorSettings(max_batch_size=4))
    here = threading.get_ident()
    with ThreadPoolExecutor(1) as pool:
        runner = TensorRunner(model, pool)
        asked = tensor_request.decode(request("times", floats([1.0])), model)
        for _ in range(50 * PROOF_CALLS):
            assert (await runner.run(asked))[0].tolist() == [[2.0]]
        assert model.threads[0] != here
        assert here in model.threads
        model.defect = True
        for _ in range(4):
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(runner.run(asked), 20)
        assert model.threads[-1] != here
    assert runner.statistics.fail.count == 4
