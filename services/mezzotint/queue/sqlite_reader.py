"""One thread that reads, beside the one that writes: each read sees one moment, everything acknowledged by then included."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw

from mezzotint.queue.engine import StoreUnavailable

Result = TypeVar("Result")


class SqliteReader:
    """Reads on `connection`, which no other thread may touch. `fail` is told of a store that cannot be read."""

    def __init__(self, connection: apsw.Connection, fail: Callable[[BaseException], StoreUnavailable]) -> None:
        self._connection = connection
        self._fail = fail
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")

    async def run(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """What `work` gives. Raises what it raises, StoreUnavailable when the store is damaged."""
        try:
            result: Result = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)
        except apsw.Error as error:
            raise self._fail(error) from error
        return result

    async def stop(self) -> None:
        """End the thread."""
        await asyncio.to_thread(self._thread.shutdown)

    def _read(self, work: Callable[[apsw.Connection], Any]) -> Any:
        with self._connection:
            return work(self._connection)
