"""Queue servers that start fast: `python -m tests.queue.kill.nursery` imports everything once and forks a server when asked.

A line of standard input has the settings of a server; when it serves, a line of standard output has its process and port. The
fork is made before gRPC, an event loop or a thread exists. From there on a server is what `python -m mezzotint.queue` is: its
own process with its own files, sockets and threads, and nothing of the one before.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from mezzotint.queue.app import run
from mezzotint.queue.settings import QueueSettings
from mezzotint.runtime import lifecycle


def main() -> None:
    """Until standard input ends. Only one server lives at a time: the one before must have been killed."""
    for line in sys.stdin:
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads must not fork"
        if (child := os.fork()) == 0:
            serve(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        tell({"status": os.waitstatus_to_exitcode(status)})


def serve(values: dict[str, object]) -> None:
    """Be a queue server."""
    settings = QueueSettings(**values)  # type: ignore[arg-type]  # pydantic checks them

    def started(port: int) -> None:
        tell({"pid": os.getpid(), "port": port})

    async def serve_until(stop: asyncio.Event) -> None:
        await run(settings, stop, started)

    lifecycle.main("queue", settings, serve_until)


def tell(message: dict[str, int]) -> None:
    """One line of standard output."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
