"""The folder of models: which are there, which are loaded, and loading and unloading them while others draw."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mezzotint.inference.graphs.memory import Hold, Memory, graph_bytes, memory_of
from mezzotint.inference.models import folder as model_folder
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.diffusers_card import read_card
from mezzotint.inference.models.engine import Engine
from mezzotint.inference.models.folder import Place
from mezzotint.runtime import logging
from mezzotint.runtime.errors import LimitReached, ModelInvalid, ModelNotFound

log = logging.get(__name__)
# Opens, checks and warms up a folder; blocks; raises ModelInvalid.
Open = Callable[[Path], Engine]


@dataclass
class Loaded:
    """A loaded model, where it came from, and how many paintings use it.

    `leaving`: it was unloaded or replaced; `gone`: and nobody uses it any more.
    """

    engine: Engine
    place: Place
    hold: Hold
    users: int = 0
    leaving: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Listed:
    """A model of the folder; `card` is None when its folder cannot be read as a model's."""

    name: str
    card: ModelCard | None
    loaded: bool


class Repository:
    """Models by the name of their folder. `open_model` runs in `pool`.

    `changed` is called after a model was loaded or unloaded, `let_go` with an engine that nobody uses any more.
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        open_model: Open,
        pool: Executor,
        memory: Memory | None = None,
        changed: Callable[[], None] = lambda: None,
        let_go: Callable[[Engine], None] = lambda engine: None,
    ) -> None:
        self._folder = folder
        self._default = default
        self._open = open_model
        self._pool = pool
        self._memory = memory or memory_of(0, 0)
        self._changed = changed
        self._let_go = let_go
        self._loaded: dict[str, Loaded] = {}
        # Models on their way out: unloaded for new requests, still in use by older ones.
        self._leaving: list[Loaded] = []
        self._loads: set[asyncio.Task[Listed]] = set()
        self._loading = asyncio.Lock()

    @property
    def serves_default(self) -> bool:
        """Whether requests that name no model can be served."""
        return self._default in self._loaded

    def names(self) -> list[str]:
        """The folders that claim to be models, by name, loaded or not. Reads the disk."""
        return sorted(model_folder.names(self._folder) | set(self._loaded))

    async def listed(self) -> list[Listed]:
        """Every model of the folder, by name."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: [look_at(self._folder, name, self._loaded.get(name)) for name in self.names()]
        )

    @contextmanager
    def use(self, name: str) -> Iterator[Engine]:
        """The engine of a loaded model ("" is the default), not let go before the block ends. Raises ModelNotFound."""
        loaded = self._loaded.get(name or self._default)
        if loaded is None:
            listed = ", ".join(sorted(self._loaded))
            raise ModelNotFound(
                f"no model {name or self._default!r} is loaded; loaded: {listed or 'none'}", metadata={"models": listed}
            )
        loaded.users += 1
        try:
            yield loaded.engine
        finally:
            loaded.users -= 1
            self._release(loaded)

    async def load(self, name: str) -> Listed:
        """Load a model as its folder has it now, whole or not at all; do nothing if that is what is loaded.

        A model that is loaded already is replaced: new requests get the new one, those under way end with the old one.
        Raises ModelNotFound, ModelInvalid, LimitReached; what was loaded stays then. A load goes on when its caller goes
        away: its thread would anyway, and nobody would let go of what it made.
        """
        loading = asyncio.create_task(self._load(name))
        self._loads.add(loading)
        loading.add_done_callback(self._loads.discard)
        return await asyncio.shield(loading)

    async def _load(self, name: str) -> Listed:
        async with self._loading:
            before = self._loaded.get(name)
            loaded = await asyncio.get_running_loop().run_in_executor(self._pool, self._open_folder, name, before)
            if loaded is not before:
                self._loaded[name] = loaded
                log.info("model loaded", model=loaded.engine.card.key, replaced=before.engine.card.key if before else "")
                # It may have been unloaded meanwhile.
                if before is not None and not before.leaving:
                    self._retire(before)
                self._changed()
            return Listed(name, loaded.engine.card, loaded=self._loaded.get(name) is loaded)

    def _open_folder(self, name: str, before: Loaded | None) -> Loaded:
        """A folder's model; `before` if that is it still, or is gone from the disk. Blocks. Raises as `load` does."""
        if name not in model_folder.names(self._folder):
            if before is not None:
                return before
            listed = ", ".join(self.names())
            raise ModelNotFound(
                f"no model's folder is named {name!r}; there are: {listed or 'none'}", metadata={"models": listed}
            )
        try:
            place = model_folder.place_of(self._folder, name)
        except OSError as error:
            raise ModelInvalid(f"the folder of {name} cannot be read: {error.strerror}") from error
        if before is not None and before.place == place:
            return before
        with self._memory.loading(name, graph_bytes(place.folder)) as hold:
            return Loaded(self._open(place.folder), place, hold)

    async def load_all(self) -> None:
        """Load every model of the folder, the default one first; those that cannot be served are logged and left out."""
        names = await asyncio.get_running_loop().run_in_executor(self._pool, self.names)
        if self._default not in names:
            log.error("not ready: the default model is missing", model=self._default, folder=str(self._folder), found=names)
        for name in sorted(names, key=lambda each: (each != self._default, each)):
            try:
                await self.load(name)
            except (ModelInvalid, LimitReached) as error:
                consequence = "not ready: it is the default" if name == self._default else "the other models are served"
                log.error("model not loaded", model=name, reason=str(error), consequence=consequence)

    async def unload(self, name: str) -> None:
        """Refuse new requests for a model at once, and let go of it once the running ones are done."""
        if loaded := self._loaded.pop(name, None):
            self._retire(loaded)
            self._changed()
        for leaving in [each for each in self._leaving if each.engine.card.name == name]:
            await leaving.gone.wait()

    def _retire(self, loaded: Loaded) -> None:
        """A model gets no new requests any more."""
        loaded.leaving = True
        self._leaving.append(loaded)
        self._release(loaded)

    def _release(self, loaded: Loaded) -> None:
        """Let go of an unloaded model that nobody uses any more."""
        if loaded.leaving and not loaded.users:
            self._leaving.remove(loaded)
            self._memory.release(loaded.hold)
            loaded.gone.set()
            self._let_go(loaded.engine)
            log.info("model unloaded", model=loaded.engine.card.key)


def look_at(models: Path, name: str, loaded: Loaded | None) -> Listed:
    """What a model says of itself: the loaded one, else its folder among the `models`. Reads the disk."""
    if loaded is not None:
        return Listed(name, loaded.engine.card, loaded=True)
    try:
        return Listed(name, read_card(model_folder.folder_of(models, name)), loaded=False)
    except ModelInvalid:
        return Listed(name, None, loaded=False)
