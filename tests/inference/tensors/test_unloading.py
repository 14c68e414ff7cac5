"""An unload waits for what was asked before it; nothing that is asked later reaches the model."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.runtime.errors import ModelNotFound
from tests.inference.tensor_models import floats, replace_graph, request, times, write_model

GUARD_SECONDS = 10


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[TensorRepository]:
    """A repository with one model, loaded."""
    write_model(tmp_path / "times", times(2))
    with ThreadPoolExecutor(2) as pool:
        made = TensorRepository(tmp_path, pool)
        await made.load_all()
        yield made


async def product(runner: TensorRunner) -> float:
    (output,) = await runner.run(tensor_request.decode(request("times", floats([1.0])), runner.model))
    return float(np.asarray(output).item())


async def begun(*tasks: asyncio.Task[None]) -> None:
    """Let tasks come as far as they do by themselves."""
    for _ in range(20 * len(tasks)):
        await asyncio.sleep(0)


async def test_an_unload_waits_for_those_who_use_the_model(repository: TensorRepository) -> None:
    """Ensures that the last user's end is the unload's, that users go on until then, and that newcomers are refused at once."""
    with repository.use("times") as first:
        with repository.use("times") as second:
            unloading = [asyncio.create_task(repository.unload("times")) for _ in range(2)]
            await begun(*unloading)
            assert not repository.has("times")
            with pytest.raises(ModelNotFound), repository.use("times"):
                pass
            assert await product(second) == 2.0
        await begun(*unloading)
        assert not any(task.done() for task in unloading)
        assert await product(first) == 2.0
    await asyncio.wait_for(asyncio.gather(*unloading), GUARD_SECONDS)


async def test_an_unload_waits_for_those_who_use_an_earlier_one(repository: TensorRepository, tmp_path: Path) -> None:
    """Ensures that a model that was replaced counts as well: after an unload nothing of its name is in memory."""
    with repository.use("times") as earlier:
        replace_graph(tmp_path / "times", times(3))
        await repository.load("times")
        assert await product(repository.runner("times")) == 3.0
        unloading = asyncio.create_task(repository.unload("times"))
        await begun(unloading)
        assert not unloading.done()
        assert await product(earlier) == 2.0
    await asyncio.wait_for(unloading, GUARD_SECONDS)


async def test_an_unload_that_is_given_up_changes_nothing_for_others(repository: TensorRepository) -> None:
    """Ensures that a caller who does not wait leaves a model that goes once it is free, and can be loaded again meanwhile."""
    with repository.use("times") as runner:
        unloading = asyncio.create_task(repository.unload("times"))
        await begun(unloading)
        unloading.cancel()
        await repository.load("times")
        assert await product(runner) == await product(repository.runner("times")) == 2.0
    await asyncio.wait_for(repository.unload("times"), GUARD_SECONDS)


async def test_an_unload_of_what_is_not_loaded_is_none(repository: TensorRepository) -> None:
    """Ensures that it does nothing and takes no time."""
    await asyncio.wait_for(repository.unload("other"), GUARD_SECONDS)
    assert repository.has("times")
