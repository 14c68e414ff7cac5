"""The port to what operators need of whatever keeps jobs, beside the engine: pauses, and payloads of jobs that failed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Payload:
    """What a job is to do: the first bytes that were asked for, and the size of the whole."""

    begin: bytes
    size: int


class OperatorStore(Protocol):
    """Keeps what operators decide, durable when the call returns. Fails as the engine does."""

    async def paused(self) -> frozenset[str]:
        """The tiers that are paused."""
        ...

    async def pause(self, tier: str) -> None:
        """The tier is paused from now on; nothing happens if it is. Raises StorageFull."""
        ...

    async def resume(self, tier: str) -> None:
        """The tier is not paused any more; nothing happens if it is not. Raises StorageFull."""
        ...

    async def payloads(self, job_ids: Collection[str], bytes_max: int) -> Mapping[str, Payload]:
        """What these jobs are to do, up to `bytes_max` bytes of each; those that are not kept are left out."""
        ...
