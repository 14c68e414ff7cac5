"""The policy in force, read again when its file changes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from mezzotint.queue import policy
from mezzotint.queue.tiers import Policy
from mezzotint.runtime import logging
from mezzotint.runtime.errors import PolicyInvalid, StartRefused

log = logging.get(__name__)
# How the file was when it was last looked at: when it was changed, in nanoseconds, its size, and which file it is.
Stamp = tuple[int, int, int] | None


class PolicyKeeper:
    """Holds the policy in force. `followers` are told of another one once it has been read and found good."""

    def __init__(self, path: Path, current: Policy) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._lock = asyncio.Lock()
        self.current = current
        self.followers: list[Callable[[Policy], None]] = []

    async def reload(self) -> tuple[list[str], bool]:
        """Read the file again: the names of the tiers, and whether it differed. Raises PolicyInvalid with "file:line: …"."""
        async with self._lock:
            seen, found = await asyncio.to_thread(self._read)
            changed = found != self.current
            if changed:
                self.current = found
                for follow in self.followers:
                    follow(found)
            self._stamp = seen
            return found.names(), changed

    async def look(self) -> None:
        """Reload if the file has changed since it was last looked at; a bad one is logged once, and changes nothing."""
        seen = await asyncio.to_thread(stamp, self._path)
        if seen == self._stamp:
            return
        self._stamp = seen
        try:
            names, changed = await self.reload()
        except PolicyInvalid as error:
            log.error("the policy in force stays", reason=error.message)  # the message says it all
        else:
            if changed:
                log.info("policy reloaded", path=str(self._path), tiers=names)

    def _read(self) -> tuple[Stamp, Policy]:
        try:
            return stamp(self._path), policy.load(self._path)
        except StartRefused as error:
            raise PolicyInvalid(str(error)) from error


def stamp(path: Path) -> Stamp:
    """What tells one content of the file from another without reading it; None when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
