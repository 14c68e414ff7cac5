"""Loading and unloading models while others draw."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mezzotint.inference.graphs.memory import MIB, Memory, machine_bytes, memory_of, resident_bytes
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.models.repository import Repository
from mezzotint.runtime.errors import LimitReached, ModelInvalid, ModelNotFound
from tests.inference.tiny_model import write_tiny_model
from tests.inference.tiny_pipelines import write_pipeline

GUARD_SECONDS = 10


@pytest.fixture
def let_go() -> list[Engine]:
    """The engines that the repository let go."""
    return []


@pytest.fixture
def repository(models: Path, let_go: list[Engine]) -> Iterator[Repository]:
    """A repository over a folder with one tiny model."""
    with ThreadPoolExecutor(1) as pool:
        yield Repository(models, "tiny", partial(OnnxEngine, threads=1, rows_max=2), pool, let_go=let_go.append)


async def test_corrupt_folder_leaves_the_others_served(repository: Repository, models: Path) -> None:
    """A folder that cannot be served is left out; the others are loaded, and the list names all of them."""
    write_tiny_model(models / "corrupt")
    (models / "corrupt/unet/model.onnx").write_bytes(b"")
    (models / "broken").mkdir()
    (models / "broken/model_index.json").write_text("{")
    (models / "No Model").mkdir()
    (models / "notes.txt").write_text("not a folder")
    await repository.load_all()
    listed = await repository.listed()
    assert [(each.name, each.loaded, each.card is not None) for each in listed] == [
        ("broken", False, False),
        ("corrupt", False, True),
        ("tiny", True, True),
    ]
    assert repository.serves_default


async def test_load_again_after_mending(repository: Repository, models: Path) -> None:
    """A load that failed leaves nothing behind, and works once the folder is mended."""
    file = models / "tiny/unet/model.onnx"
    good = file.read_bytes()
    file.write_bytes(b"bad")
    with pytest.raises(ModelInvalid):
        await repository.load("tiny")
    assert not repository.serves_default
    file.write_bytes(good)
    assert (await repository.load("tiny")).loaded
    assert (await repository.load("tiny")).loaded


@pytest.mark.parametrize("name", ["nobody", "../tiny", ""])
async def test_unknown_model(repository: Repository, name: str) -> None:
    """A name that is no model's folder is refused, and no path leads out of the folder."""
    with pytest.raises(ModelNotFound, match="tiny"):
        await repository.load(name)


async def test_unload_waits_for_those_who_draw(repository: Repository, let_go: list[Engine]) -> None:
    """An unloaded model refuses new requests at once and is let go when the last running one is done."""
    await repository.load("tiny")
    with repository.use("") as engine:
        unloading = asyncio.create_task(repository.unload("tiny"))
        await asyncio.sleep(0)
        with pytest.raises(ModelNotFound) as refused, repository.use("tiny"):
            pass
        assert refused.value.metadata == {"models": ""}
        assert not unloading.done()
        assert let_go == []
    await asyncio.wait_for(unloading, GUARD_SECONDS)
    assert let_go == [engine]
    await repository.unload("tiny")


async def test_unload_that_nobody_waits_for_still_happens(repository: Repository, let_go: list[Engine]) -> None:
    """When the caller of unload gives up waiting, the model is let go all the same; meanwhile it can be loaded afresh."""
    await repository.load("tiny")
    with repository.use("tiny") as old:
        unloading = asyncio.create_task(repository.unload("tiny"))
        await asyncio.sleep(0)
        unloading.cancel()
        await repository.load("tiny")
        with repository.use("tiny") as new:
            assert new is not old
    assert let_go == [old]
    assert repository.serves_default


class Gate:
    """Opens models once it is told to."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def open(self, folder: Path) -> OnnxEngine:
        """The model, after a wait."""
        self.began.set()
        assert self.go.wait(GUARD_SECONDS)
        return OnnxEngine(folder, threads=1, rows_max=2)


async def test_a_load_goes_on_without_its_caller(models: Path, let_go: list[Engine]) -> None:
    """A model whose load was given up is loaded all the same, and can be unloaded: nothing holds memory unseen."""
    gate, memory = Gate(), Memory(1000 * MIB, 1000 * MIB)
    with ThreadPoolExecutor(1) as pool:
        repository = Repository(models, "tiny", gate.open, pool, memory=memory, let_go=let_go.append)
        loading = asyncio.create_task(repository.load("tiny"))
        await asyncio.to_thread(gate.began.wait, GUARD_SECONDS)
        loading.cancel()
        await asyncio.wait([loading])
        gate.go.set()
        assert (await asyncio.wait_for(repository.load("tiny"), GUARD_SECONDS)).loaded
        await asyncio.wait_for(repository.unload("tiny"), GUARD_SECONDS)
    assert (memory.held, len(let_go)) == (0, 1)


async def test_an_unload_while_a_load_replaces_lets_go_once(models: Path, let_go: list[Engine]) -> None:
    """The old model is let go of once, and the new one is served."""
    gate = Gate()
    gate.go.set()
    with ThreadPoolExecutor(1) as pool:
        repository = Repository(models, "tiny", gate.open, pool, let_go=let_go.append)
        await repository.load("tiny")
        write_tiny_model_again(models / "tiny", steps_default=7)
        gate.began.clear()
        gate.go.clear()
        loading = asyncio.create_task(repository.load("tiny"))
        await asyncio.to_thread(gate.began.wait, GUARD_SECONDS)
        await asyncio.wait_for(repository.unload("tiny"), GUARD_SECONDS)
        gate.go.set()
        assert (await asyncio.wait_for(loading, GUARD_SECONDS)).loaded
        assert len(let_go) == 1
        with repository.use("tiny") as engine:
            assert engine not in let_go


def version(models: Path, number: str, name: str = "many") -> Path:
    """A version of a model."""
    return write_pipeline(models / name / number)


async def test_highest_version_is_served(repository: Repository, models: Path) -> None:
    """Of a folder with numbered versions the highest number is the model; other folders in it, and numbers alone, are not."""
    version(models, "2")
    version(models, "10")
    version(models, "draft")
    write_pipeline(models / "7")
    assert repository.names() == ["many", "tiny"]
    listed = await repository.load("many")
    assert listed.card is not None
    assert (listed.card.key, listed.card.name) == ("many@10", "many")
    with pytest.raises(ModelNotFound):
        await repository.load("7")


async def test_new_version_replaces_the_old_one(repository: Repository, models: Path, let_go: list[Engine]) -> None:
    """Loading again does nothing until the folder changed; then new requests get the new one, others keep theirs."""
    version(models, "1")
    await repository.load("many")
    with repository.use("many") as old:
        await repository.load("many")
        with repository.use("many") as same:
            assert same is old
        version(models, "2")
        await repository.load("many")
        with repository.use("many") as new:
            assert (old.card.version, new.card.version) == ("1", "2")
        assert let_go == []
        assert old.embed(["x"])[0].hidden.shape == new.embed(["x"])[0].hidden.shape
    assert let_go == [old]


async def test_changed_file_is_loaded_again(repository: Repository, models: Path, let_go: list[Engine]) -> None:
    """A file of another size or time makes a folder another model, also under the same version."""
    await repository.load("tiny")
    with repository.use("tiny") as old:
        pass
    write_tiny_model_again(models / "tiny", steps_default=5)
    listed = await repository.load("tiny")
    assert listed.card is not None
    assert listed.card.steps_default == 5
    assert let_go == [old]


def write_tiny_model_again(folder: Path, **card: int) -> None:
    shutil.rmtree(folder)
    write_tiny_model(folder, **card)


async def test_version_that_cannot_be_served_leaves_the_old_one(
    repository: Repository, models: Path, let_go: list[Engine]
) -> None:
    """A new version that is corrupt is refused with its reason, and the old one serves on; so does one whose folder is gone."""
    version(models, "1")
    await repository.load("many")
    (version(models, "2") / "unet/model.onnx").write_bytes(b"bad")
    with pytest.raises(ModelInvalid, match=r"unet/model\.onnx"):
        await repository.load("many")
    with repository.use("many") as engine:
        assert engine.card.version == "1"
    shutil.rmtree(models / "many")
    assert (await repository.load("many")).loaded
    assert let_go == []


async def test_model_that_does_not_fit_is_refused(models: Path, let_go: list[Engine]) -> None:
    """A model over the bound of one, or over what others leave of that of all, is refused with figures; room comes back."""
    resident = iter(range(0, 100 * MIB, 10 * MIB))
    memory = Memory(each_max=12 * MIB, total_max=25 * MIB, resident=lambda: next(resident))
    for name in ("a", "b"):
        write_tiny_model(models / name)
    with ThreadPoolExecutor(1) as pool:
        repository = Repository(models, "tiny", partial(OnnxEngine, threads=1, rows_max=2), pool, memory, let_go=let_go.append)
        await repository.load("tiny")
        await repository.load("a")
        assert memory.held == 20 * MIB
        with pytest.raises(
            LimitReached, match=r"b takes 10\.0 MiB of memory; of 25\.0 MiB for all .* 20\.0 MiB are taken"
        ) as full:
            await repository.load("b")
        assert full.value.metadata == {"limit": str(25 * MIB)}
        assert memory.held == 20 * MIB
        await repository.unload("a")
        assert memory.held == 10 * MIB
        assert (await repository.load("b")).loaded
        memory.each_max = 1000
        write_tiny_model_again(models / "a")
        with pytest.raises(LimitReached, match=r"a takes about .* MiB of memory; 0\.0 MiB is the most that one model may take"):
            await repository.load("a")
        assert repository.serves_default


def test_bounds_of_the_machine() -> None:
    """Without settings models may take four fifths of the machine, and one as much as all."""
    memory = memory_of(0, 0)
    assert memory.each_max == memory.total_max == round(0.8 * machine_bytes())
    assert memory_of(3, 0).each_max == 3 * MIB
    assert memory_of(0, 5).each_max == 5 * MIB
    assert 10 * MIB < resident_bytes() < machine_bytes()
