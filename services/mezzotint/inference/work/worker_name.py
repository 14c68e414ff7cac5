"""A worker's name that outlives its process: after a crash the queue sees at once that its leases are lost, and retries."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO


@contextmanager
def worker_name(folder: Path, new_id: Callable[[str], str]) -> Iterator[str]:
    """The first name kept in `folder` that no living process uses, or a new one; this process's until the block ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number in count():
        with (folder / f"worker-{number}").open("a+") as file:
            if taken(file):
                continue
            file.seek(0)
            name = file.read().strip()
            if not name:
                name = new_id("worker")
                file.write(name)
                file.flush()
            yield name
            return


def taken(file: IO[str]) -> bool:
    """Whether another process has the file locked; else this one has from now on, until it closes the file or ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
