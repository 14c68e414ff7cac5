"""Which tiers an operator has stopped."""

from collections.abc import Callable, Collection

from mezzotint.queue.store import OperatorStore
from mezzotint.runtime.errors import TierUnknown


class Pauses:
    """The paused tiers, as they are on disk. `apply` is told of them whenever they change, and when they are loaded."""

    def __init__(
        self, store: OperatorStore, known: Callable[[], Collection[str]], apply: Callable[[frozenset[str]], None]
    ) -> None:
        self._store = store
        self._known = known
        self._apply = apply
        self.tiers: frozenset[str] = frozenset()

    async def load(self) -> None:
        """What was paused before the start is paused again."""
        self._set(await self._store.paused())

    async def pause(self, tier: str) -> None:
        """Stop a tier, durably. Raises TierUnknown, StorageFull."""
        self._require(tier)
        await self._store.pause(tier)
        self._set(self.tiers | {tier})

    async def resume(self, tier: str) -> None:
        """Let a tier go on, durably. Raises TierUnknown, StorageFull."""
        self._require(tier)
        await self._store.resume(tier)
        self._set(self.tiers - {tier})

    def _set(self, tiers: frozenset[str]) -> None:
        self.tiers = tiers
        self._apply(tiers)

    def _require(self, tier: str) -> None:
        """A tier that the policy names, or one that was paused when it still did."""
        if tier not in self._known() and tier not in self.tiers:
            names = ", ".join(self._known())
            raise TierUnknown(f"there is no tier {tier!r}; the tiers are {names}", metadata={"tiers": names})
