"""The folder of models: which are there, which are loaded, and loading and unloading them while others draw."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mezzotint.inference.card import INDEX, ModelCard
from mezzotint.inference.diffusers_card import read_card
from mezzotint.inference.engine import Engine
from mezzotint.runtime import logging
from mezzotint.runtime.errors import ModelInvalid, ModelNotFound

log = logging.get(__name__)
# The contract's rule for names of models; other folders are not models.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Opens, checks and warms up a folder; blocks; raises ModelInvalid.
Open = Callable[[Path], Engine]


@dataclass
class Loaded:
    """A loaded model and how many paintings use it. `leaving`: it was unloaded; `gone`: and nobody uses it any more."""

    engine: Engine
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
        *,
        changed: Callable[[], None] = lambda: None,
        let_go: Callable[[Engine], None] = lambda engine: None,
    ) -> None:
        self._folder = folder
        self._default = default
        self._open = open_model
        self._pool = pool
        self._changed = changed
        self._let_go = let_go
        self._loaded: dict[str, Loaded] = {}
        # Models on their way out: unloaded for new requests, still in use by older ones.
        self._leaving: list[Loaded] = []
        self._loading = asyncio.Lock()

    @property
    def serves_default(self) -> bool:
        """Whether requests that name no model can be served."""
        return self._default in self._loaded

    def names(self) -> list[str]:
        """The folders that claim to be models, by name, loaded or not. Reads the disk."""
        try:
            found = {path.parent.name for path in self._folder.glob(f"*/{INDEX}")}
        except OSError:
            found = set()
        return sorted(name for name in found | set(self._loaded) if NAME.fullmatch(name))

    async def listed(self) -> list[Listed]:
        """Every model of the folder, by name."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: [self._look_at(name) for name in self.names()]
        )

    def _look_at(self, name: str) -> Listed:
        """What a model says of itself: the loaded one, else its folder. Reads the disk."""
        loaded = self._loaded.get(name)
        if loaded is not None:
            return Listed(name, loaded.engine.card, loaded=True)
        try:
            return Listed(name, read_card(self._folder / name), loaded=False)
        except ModelInvalid:
            return Listed(name, None, loaded=False)

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
        """Load a model, or do nothing if it is loaded: whole or not at all. Raises ModelNotFound, ModelInvalid."""
        async with self._loading:
            if name not in self._loaded:
                engine = await asyncio.get_running_loop().run_in_executor(self._pool, self._open_folder, name)
                self._loaded[name] = Loaded(engine)
                log.info("model loaded", model=engine.card.key)
                self._changed()
            return Listed(name, self._loaded[name].engine.card, loaded=True)

    def _open_folder(self, name: str) -> Engine:
        """The engine of a folder. Blocks. Raises ModelNotFound, ModelInvalid."""
        if name not in (names := self.names()):
            listed = ", ".join(names)
            raise ModelNotFound(
                f"no model's folder is named {name!r}; there are: {listed or 'none'}", metadata={"models": listed}
            )
        return self._open(self._folder / name)

    async def load_all(self) -> None:
        """Load every model of the folder, the default one first; those that cannot be served are logged and left out."""
        names = await asyncio.get_running_loop().run_in_executor(self._pool, self.names)
        if self._default not in names:
            log.error("not ready: the default model is missing", model=self._default, folder=str(self._folder), found=names)
        for name in sorted(names, key=lambda each: (each != self._default, each)):
            try:
                await self.load(name)
            except ModelInvalid as error:
                consequence = "not ready: it is the default" if name == self._default else "the other models are served"
                log.error("model not loaded", model=name, reason=str(error), consequence=consequence)

    async def unload(self, name: str) -> None:
        """Refuse new requests for a model at once, and let go of it once the running ones are done."""
        if loaded := self._loaded.pop(name, None):
            loaded.leaving = True
            self._leaving.append(loaded)
            self._release(loaded)
            self._changed()
        for leaving in [each for each in self._leaving if each.engine.card.name == name]:
            await leaving.gone.wait()

    def _release(self, loaded: Loaded) -> None:
        """Let go of an unloaded model that nobody uses any more."""
        if loaded.leaving and not loaded.users:
            self._leaving.remove(loaded)
            loaded.gone.set()
            self._let_go(loaded.engine)
            log.info("model unloaded", model=loaded.engine.card.key)
