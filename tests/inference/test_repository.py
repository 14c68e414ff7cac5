"""Loading and unloading models while others draw."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mezzotint.inference.engine import Engine
from mezzotint.inference.onnx_engine import OnnxEngine
from mezzotint.inference.repository import Repository
from mezzotint.runtime.errors import ModelInvalid, ModelNotFound
from tests.inference.tiny_model import write_tiny_model

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
