"""The folder of tensor models, <model>/<version>/model.onnx: what is there, what is loaded, and changing that under load."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mezzotint.inference.graphs.memory import Hold, Memory, memory_of
from mezzotint.inference.tensors import folder as tensor_folder
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.telling import named, quoted
from mezzotint.runtime import logging
from mezzotint.runtime.errors import LimitReached, ModelInvalid, ModelNotFound

log = logging.get(__name__)
NOT_LOADED = "it is not loaded"


@dataclass
class Served:
    """The loaded versions of a model, their memory, and how many requests use them.

    `leaving`: others took their place, or none.
    """

    runners: dict[int, TensorRunner]
    hold: Hold
    users: int = 0
    leaving: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Indexed:
    """A version of the repository, 0 where a model's folder has none; `reason`: why it does not answer, empty where it does."""

    name: str
    version: int
    reason: str


class TensorRepository:
    """Tensor models by the name of their folder; without a folder none. Files are read, and models called, in `pool`."""

    def __init__(self, folder: Path | None, pool: Executor, memory: Memory | None = None) -> None:
        self._folder = folder
        self._pool = pool
        self._memory = memory or memory_of(0, 0)
        self._served: dict[str, Served] = {}
        # Models on their way out: unloaded for new requests, still in use by older ones.
        self._leaving: dict[str, list[Served]] = {}
        self._refused: dict[str, str] = {}
        self._changing = asyncio.Lock()
        self._loads: set[asyncio.Task[None]] = set()
        self.ready = False
        """Every model was loaded, or refused with a reason."""

    @contextmanager
    def use(self, name: str, version: str = "") -> Iterator[TensorRunner]:
        """A loaded version ("": the latest), not let go before the block ends. Raises ModelNotFound."""
        served = _found(self._served, name)
        runner = _chosen(served, name, version)
        served.users += 1
        try:
            yield runner
        finally:
            served.users -= 1
            self._release(name, served)

    def runner(self, name: str, version: str = "") -> TensorRunner:
        """A loaded version ("": the latest), to be looked at. Raises ModelNotFound."""
        return _chosen(_found(self._served, name), name, version)

    def has(self, name: str, version: str = "") -> bool:
        """Whether a version ("": any) is loaded."""
        runners = self._served[name].runners if name in self._served else {}
        return tensor_folder.version_of(version) in runners if version else bool(runners)

    def runners(self, name: str = "", version: str = "") -> list[TensorRunner]:
        """Loaded versions, oldest first: of all models, of one, or one. Raises ModelNotFound."""
        if version:
            return [self.runner(name, version)]
        chosen = {name: _found(self._served, name)} if name else self._served
        return [served.runners[number] for _, served in sorted(chosen.items()) for number in sorted(served.runners)]

    async def index(self) -> list[Indexed]:
        """Every version of every model, by name and version."""
        on_disk = await asyncio.get_running_loop().run_in_executor(self._pool, tensor_folder.versions_of_all, self._folder)
        found: list[Indexed] = []
        for name in sorted(on_disk.keys() | self._served.keys()):
            loaded = self._served[name].runners.keys() if name in self._served else set()
            versions = sorted({*on_disk.get(name, ()), *loaded}) or [0]
            found += [Indexed(name, each, "" if each in loaded else self._refused.get(name, NOT_LOADED)) for each in versions]
        return found

    async def load(self, name: str) -> None:
        """Load a model, or load it again as it is on disk: whole or not at all.

        Raises ModelNotFound, ModelInvalid, LimitReached; what was loaded stays then. A load goes on when its caller goes away:
        its thread would anyway, and nobody would let go of what it made.
        """
        loading = asyncio.create_task(self._load(name))
        self._loads.add(loading)
        loading.add_done_callback(self._loads.discard)
        await asyncio.shield(loading)

    async def _load(self, name: str) -> None:
        async with self._changing:
            try:
                models, hold = await asyncio.get_running_loop().run_in_executor(
                    self._pool, tensor_folder.open_model, self._folder, name, self._memory
                )
            except (ModelInvalid, LimitReached) as error:
                self._refused[name] = str(error)
                raise
            self._refused.pop(name, None)
            self._replace(name, Served({model.version: TensorRunner(model, self._pool) for model in models}, hold))
            log.info("tensor model loaded", model=name, versions=[model.version for model in models])

    async def load_all(self) -> None:
        """Load every model of the folder; those that cannot be served are logged and left out."""
        names = await asyncio.get_running_loop().run_in_executor(self._pool, tensor_folder.names, self._folder)
        for name in names:
            try:
                await self.load(name)
            except (ModelInvalid, ModelNotFound, LimitReached) as error:
                log.error("tensor model not loaded", model=name, reason=str(error), consequence="the other models are served")
        self.ready = True

    async def unload(self, name: str) -> None:
        """Refuse new requests for a model at once, and let go of it once the running ones are done. Does nothing to others."""
        async with self._changing:
            self._replace(name, None)
        for leaving in list(self._leaving.get(name, ())):
            await leaving.gone.wait()

    def _replace(self, name: str, new: Served | None) -> None:
        """Have new requests use `new`, or nothing; the older ones keep what they have."""
        old = self._served.pop(name, None)
        if new is not None:
            self._served[name] = new
        if old is not None:
            old.leaving = True
            self._leaving.setdefault(name, []).append(old)
            self._release(name, old)

    def _release(self, name: str, served: Served) -> None:
        """Let go of versions that nobody uses any more."""
        if served.leaving and not served.users:
            self._leaving[name].remove(served)
            if not self._leaving[name]:
                del self._leaving[name]
            self._memory.release(served.hold)
            served.gone.set()
            log.info("tensor model let go", model=name, versions=sorted(served.runners))


def _found(served: Mapping[str, Served], name: str) -> Served:
    """A loaded model. Raises ModelNotFound."""
    if name not in served:
        listed = named(sorted(served))
        raise ModelNotFound(
            f"no tensor model {quoted(name)} is loaded; loaded: {listed or 'none'}", metadata={"models": listed}
        )
    return served[name]


def _chosen(served: Served, name: str, version: str) -> TensorRunner:
    """A version of a loaded model ("": the latest). Raises ModelNotFound."""
    number = tensor_folder.version_of(version) if version else max(served.runners)
    if number not in served.runners:
        listed = named([str(each) for each in sorted(served.runners)])
        problem = f"version {quoted(version)} of {quoted(name)} is not loaded; loaded: {listed}"
        raise ModelNotFound(problem, metadata={"versions": listed})
    return served.runners[number]
