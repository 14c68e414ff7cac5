"""What goes on between calls: expired reservations are given back, and the ledger is written down."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mezzotint.ratelimit import metrics, snapshot
from mezzotint.ratelimit.ledger import Ledger, Saved
from mezzotint.ratelimit.moments import Moments
from mezzotint.runtime import logging
from mezzotint.runtime.errors import StartRefused

log = logging.get(__name__)
ADVANCE_SECONDS = 0.25


class Keeper:
    """Keeps a ledger's snapshot file, written every `snapshot_seconds` and once more at the end."""

    def __init__(self, ledger: Ledger, moments: Moments, path: Path, snapshot_seconds: float) -> None:
        self._ledger = ledger
        self._moments = moments
        self._path = path
        self._seconds = snapshot_seconds
        self._written: Saved | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop`. Raises OSError when the file cannot be written, but for a full disk, which is tried again."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._seconds
        while not await is_set_within(stop, min(ADVANCE_SECONDS, self._seconds)):
            self._ledger.advance(self._moments.read())
            metrics.show(self._ledger.sizes())
            if loop.time() >= due:
                await self.save()
                due = loop.time() + self._seconds

    async def save(self) -> None:
        """Write the ledger down if it changed; only the copy is taken on the event loop."""
        saved = self._ledger.save(self._moments.read())
        if self._written and saved[1:] == self._written[1:]:
            return
        try:
            await asyncio.to_thread(snapshot.write, self._path, saved)
            self._written = saved
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.error("the disk is full: quotas are not written down and a restart would forget them", path=str(self._path))


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Hold a lock file, so that no two processes count the same quotas apart. Raises StartRefused when another holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StartRefused(f"{path}: another ratelimit process keeps this folder; stop it or set MEZZOTINT_DATA") from error
    finally:
        os.close(file)
