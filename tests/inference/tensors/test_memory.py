"""Tensor models count in the memory that models may take, and give it back however they go."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mezzotint.inference.graphs.memory import MIB, Memory
from mezzotint.inference.tensors import folder as tensor_folder
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.model_settings import TensorSettings
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.runtime.errors import LimitReached, ModelInvalid
from tests.inference.tensor_models import times, write_model

EACH = 10 * MIB
GUARD_SECONDS = 20


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    """A repository with three models."""
    for name in ("a", "b", "c"):
        write_model(tmp_path / "tensors" / name, times(2))
    return tmp_path / "tensors"


@pytest.fixture
def memory() -> Memory:
    """Room for two models; each makes the process grow by 10 MiB."""
    resident = iter(range(0, 1000 * MIB, EACH))
    return Memory(each_max=12 * MIB, total_max=25 * MIB, resident=lambda: next(resident))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


async def test_a_model_that_does_not_fit_is_refused(tensors: Path, memory: Memory, pool: ThreadPoolExecutor) -> None:
    """Ensures that a load over the bound is refused with the figures, serves nobody less, and fits once another one is gone."""
    repository = TensorRepository(tensors, pool, memory)
    await repository.load_all()
    assert [each.model.name for each in repository.runners()] == ["a", "b"]
    assert memory.held == 2 * EACH
    with pytest.raises(LimitReached, match=r"c takes 10\.0 MiB of memory; of 25\.0 MiB for all .* 20\.0 MiB are taken: unload"):
        await repository.load("c")
    (refused,) = [each.reason for each in await repository.index() if each.reason]
    assert "20.0 MiB are taken" in refused
    await repository.unload("a")
    assert memory.held == EACH
    await repository.load("c")
    assert memory.held == 2 * EACH


async def test_weights_beside_the_graph_count_before_anything_is_opened(
    tensors: Path, memory: Memory, pool: ThreadPoolExecutor
) -> None:
    """Ensures that a model whose files alone are too many bytes is refused without being read, whatever they are called."""
    with (tensors / "a" / "1" / "weights.bin").open("wb") as file:
        file.truncate(5 * MIB)
    with pytest.raises(LimitReached, match=r"a takes about 15\.0 MiB of memory; 12\.0 MiB is the most that one model may take"):
        await TensorRepository(tensors, pool, memory).load("a")
    assert memory.held == 0


async def test_versions_of_a_model_count_together(tensors: Path, memory: Memory, pool: ThreadPoolExecutor) -> None:
    """Ensures that each version that is loaded has its bytes in the estimate."""
    for version in (2, 3):
        write_model(tensors / "a", times(2), version=version, settings="versions: 2\n")
        with (tensors / "a" / str(version) / "weights.bin").open("wb") as file:
            file.truncate(3 * MIB)
    with pytest.raises(LimitReached, match=r"a takes about 18\.0 MiB"):
        await TensorRepository(tensors, pool, memory).load("a")


async def test_a_load_that_fails_gives_its_memory_back(tensors: Path, memory: Memory, pool: ThreadPoolExecutor) -> None:
    """Ensures that a graph that cannot be opened, also as the second version, holds nothing."""
    write_model(tensors / "a", times(2), version=2, settings="versions: 2\n")
    (tensors / "a" / "2" / "model.onnx").write_bytes(b"no graph")
    repository = TensorRepository(tensors, pool, memory)
    with pytest.raises(ModelInvalid, match=r"2/model\.onnx"):
        await repository.load("a")
    assert memory.held == 0


async def test_old_and_new_count_until_the_old_one_is_let_go(tensors: Path, memory: Memory, pool: ThreadPoolExecutor) -> None:
    """Ensures that a model that is replaced while it is used counts twice, and once when its last request is done."""
    repository = TensorRepository(tensors, pool, memory)
    await repository.load("a")
    with repository.use("a"):
        await repository.load("a")
        assert memory.held == 2 * EACH
        with pytest.raises(LimitReached):
            await repository.load("a")
        with repository.use("a"):
            pass
    assert memory.held == EACH
    await repository.unload("a")
    assert memory.held == 0


async def test_a_load_goes_on_without_its_caller(
    tensors: Path, memory: Memory, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ensures that a model whose load was given up is served and counted, and can be unloaded: nothing is held unseen."""
    began, go = threading.Event(), threading.Event()

    class Slow(TensorModel):
        def __init__(self, folder: Path, version: int, settings: TensorSettings) -> None:
            began.set()
            assert go.wait(GUARD_SECONDS)
            super().__init__(folder, version, settings)

    monkeypatch.setattr(tensor_folder, "TensorModel", Slow)
    repository = TensorRepository(tensors, pool, memory)
    loading = asyncio.create_task(repository.load("a"))
    assert await asyncio.to_thread(began.wait, GUARD_SECONDS)
    loading.cancel()
    await asyncio.wait([loading])
    assert memory.held > 0
    go.set()
    # Waits for the load under way.
    await asyncio.wait_for(repository.unload("other"), GUARD_SECONDS)
    assert repository.has("a")
    assert memory.held == EACH
    await asyncio.wait_for(repository.unload("a"), GUARD_SECONDS)
    assert memory.held == 0


async def test_an_unload_given_up_gives_the_memory_back(tensors: Path, memory: Memory, pool: ThreadPoolExecutor) -> None:
    """Ensures that memory comes back with the last request even if nobody waits for the unload any more."""
    repository = TensorRepository(tensors, pool, memory)
    await repository.load("a")
    with repository.use("a") as runner:
        unloading = asyncio.create_task(repository.unload("a"))
        await asyncio.sleep(0)
        unloading.cancel()
        await asyncio.wait([unloading])
        assert memory.held == EACH
        assert runner.model.name == "a"
    assert memory.held == 0
