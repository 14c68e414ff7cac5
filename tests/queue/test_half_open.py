"""A connection that is cut without a word, as when a machine loses its power or a firewall forgets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mezzotint.runtime.tls import Authority
from tests.queue.wire import Caller, queue_server, within


class Relay:
    """Passes bytes on in both directions until it is cut; then it takes them, passes nothing on, and closes nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Nothing comes through any more."""
        self._cut = True

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Listens on a port of its own, which is given."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, far_writer]
        self._tasks.add(asyncio.create_task(self._pass(reader, far_writer)))
        self._tasks.add(asyncio.create_task(self._pass(far_reader, writer)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self._cut:
                writer.write(data)
                await writer.drain()


async def test_a_half_open_worker_loses_its_lease_in_time(data: Path, authority: Authority) -> None:
    """Ensures that a worker behind a dead connection loses its job to another one, gets no more, and may come back."""
    async with queue_server(data, authority) as queue:
        relay = Relay(queue.port)
        async with relay.serving() as port:
            behind = Caller(port, authority)
            job = await queue.enqueue()
            lost = behind.worker("w1")
            await lost.hello(credit=5)
            old = await lost.lease()
            relay.cut()
            other = queue.worker("w2")
            await other.hello(credit=1)
            new = await within(other.lease())
            assert (new.ref.job_id, new.job.attempt) == (job.job_id, 2)
            assert new.ref.fencing_token > old.ref.fencing_token
            assert (await other.complete(new, b"in time")).accepted
            back = queue.worker("w1")
            assert not (await back.hello(old.ref)).held
            refused = await back.complete(old, b"late")
            assert (refused.accepted, refused.reason) == (False, "JOB_FINISHED")
            await behind.close()
        assert await queue.result(job.job_id) == b"in time"
